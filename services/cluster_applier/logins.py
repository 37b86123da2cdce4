"""
Logs in as kubeconfigs say, in the place of what kubernetes-asyncio has for that.

Its OIDC does not verify who an issuer is unless the kubeconfig names an authority, and then can't
connect; it wants a new refresh token each time, though many issuers give none; and it fails where
it would keep what it got. Its errors quote users whole. Programs it leaves behind when they hang,
and logs what they say; and what it does not know of a user it overlooks.
"""

import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes_asyncio.config import ConfigException, kube_config
from kubernetes_asyncio.config.openid import OpenIDRequestor

from services.cluster_applier.plugin import PAIR, credential


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
    """Let kubernetes-asyncio log in so."""
    kube_config.OpenIDRequestor = Issuer  # type: ignore[attr-defined]
    kube_config.KubeConfigMerger = _Keeping  # type: ignore[misc]
    kube_config.KubeConfigLoader = _Loader  # type: ignore[misc]


class _Keeping(kube_config.KubeConfigMerger):
    """A kubeconfig in which new logins are kept; it is called with what it knows itself."""

    def save_changes(self, *_: Any) -> None:
        super().save_changes()

    def _merge(self, item: str, add_cfg: Any, path: str) -> None:
        """Take in the users of a file, or its clusters, under names that hold nothing of them."""
        super()._merge(item, add_cfg, path)
        assert self.config_merged, "it is there by now"
        for number, node in enumerate(self.config_merged.value[item]):
            node.name = f"{node.path}: {item}[{number}]"  # errors name it


class _Loader(kube_config.KubeConfigLoader):
    """Reads a kubeconfig."""

    async def _load_authentication(self) -> None:
        user = self._user.value if self._user else {}
        more = sorted(name for name in user if name == "as" or name.startswith("as-"))
        if more:  # to overlook it would be to have more rights than are meant
            named = ", ".join(more)
            raise ConfigException(f"users may not use {named}; set syncs[].service_account")
        if self.provider not in {None, kube_config.PROVIDER_TYPE_OIDC}:
            raise ConfigException(f"there is no auth-provider {self.provider} any more; use exec")
        await super()._load_authentication()

    async def load_from_exec_plugin(self) -> bool:
        """Get a credential from the program that is named."""
        assert self._user, "it names the program"
        assert self._cluster, "a context has one"
        folder = self._get_base_path(self._user.path)
        asked = self._user["exec"].value
        status = await credential(asked, self._cluster.value, folder)
        if status.get("token"):
            self.token = f"Bearer {status['token']}"
        if set(PAIR) <= status.keys():
            self.cert_file, self.key_file = (self._file(key, status) for key in PAIR)
        return True

    def _load_user_token(self) -> bool:
        """Read a token; one in a file counts more, since it is the one that is renewed."""
        assert self._user, "it has a token"
        if "tokenFile" in self._user:
            node, rest = self._user, {**self._user.value}
            rest.pop("token", None)
            self._user = kube_config.ConfigNode(node.name, rest, node.path)
        return bool(super()._load_user_token())

    def _file(self, key: str, status: Mapping[str, Any]) -> str | None:
        """Return a file that holds what is found under *key*."""
        held = kube_config.FileOrData(
            status, None, key, base64_file_content=False, temp_file_path=self._temp_file_path
        )
        return held.as_file()
