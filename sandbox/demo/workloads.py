"""The repository of the demo: three workloads with different policies, and a ConfigMap."""

from collections.abc import Mapping

TAGS = {"web": "1.0.0", "api": "main-1", "db": "1.0.0"}

_DEPLOYMENT = """\
# The {name} of the shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: shop
  annotations:
{annotations}
spec:
  replicas: 2
  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      containers:
        - name: {name}
          image: {host}/shop/{name}:{tag}   # kept up to date by its policy
"""

_POLICIES = {
    "web": {"fluxcd.io/automated": "true", "fluxcd.io/tag.web": "semver:~1.0"},
    "api": {"fluxcd.io/automated": "true", "fluxcd.io/tag.api": "glob:main-*"},
    "db": {
        "fluxcd.io/automated": "true",
        "fluxcd.io/locked": "true",
        "fluxcd.io/tag.db": "semver:*",
    },
}

SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: shop
data:
  greeting: hello
"""


def repository(host: str) -> Mapping[str, str]:
    """Return the files of the repository; images come from the registry at *host*."""
    files = {f"shop/{name}.yaml": _deployment(name, host) for name in TAGS}
    return {**files, "shop/settings.yaml": SETTINGS}


def _deployment(name: str, host: str) -> str:
    lines = (f'    {key}: "{value}"' for key, value in _POLICIES[name].items())
    return _DEPLOYMENT.format(name=name, host=host, tag=TAGS[name], annotations="\n".join(lines))
