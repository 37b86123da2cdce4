"""
Renews OIDC logins of kubeconfigs, in the place of what kubernetes-asyncio has for that.

That one does not verify who an issuer is unless the kubeconfig names an authority, and then can't
connect; it wants a new refresh token each time, though many issuers give none; and it fails where
it would keep what it got.
"""

import ssl
from typing import Any

import aiohttp
from kubernetes_asyncio.config import ConfigException, kube_config
from kubernetes_asyncio.config.openid import OpenIDRequestor


class Issuer(OpenIDRequestor):
    """Who issued a login."""

    async def refresh_token(self, refresh_token: str) -> Any:
        """Return a new login, with the refresh token that is good from now on."""
        answer = await super().refresh_token(refresh_token)
        return {"refresh_token": refresh_token, **answer}

    async def _post(self, client: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        async with client.post(*args, allow_redirects=False, **kwargs) as answer:
            if answer.status != 200:
                raise ConfigException(f"oidc: the issuer answers HTTP {answer.status}")
            return await answer.json()

    def _client_session(self) -> aiohttp.ClientSession:
        authority = self._ssl_ca_cert
        trusted = ssl.create_default_context(cafile=authority) if authority else True
        who = aiohttp.encode_basic_auth(self._client_id, self._client_secret)
        return aiohttp.ClientSession(
            headers={**self._default_headers, "Authorization": who},
            connector=aiohttp.TCPConnector(ssl=trusted),
            raise_for_status=True,
            trust_env=True,
        )


def install() -> None:
    """Let kubernetes-asyncio renew logins so."""
    kube_config.OpenIDRequestor = Issuer  # type: ignore[attr-defined]
    kube_config.KubeConfigMerger = _Keeping  # type: ignore[misc]


class _Keeping(kube_config.KubeConfigMerger):
    """A kubeconfig in which new logins are kept; it is called with what it knows itself."""

    def save_changes(self, *_: Any) -> None:
        super().save_changes()
