"""Names of git repositories: pure. One repository has one name, however its URL is spelt."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_SCP = re.compile(r"^(?:(?P<user>[^@/\s]+)@)?(?P<host>[^:/\s]+):(?!//)(?P<path>.+)$")
_STANDARD_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    scheme: str
    user: str
    host: str
    port: int | None
    path: str


def repository_id(url: str, branch: str) -> str:
    """Return `<host[:port]>/<path>#<branch>`; HEAD stands for the remote's default branch."""
    parts = _split(url)
    standard = _STANDARD_PORTS.get(parts.scheme)
    port = "" if parts.port in {None, standard} else f":{parts.port}"
    return f"{parts.host}{port}/{parts.path}#{branch or 'HEAD'}"


def same_repository(one: str, other: str) -> bool:
    """Tell whether two URLs mean one repository: host and path count, as in Flux v1."""
    a, b = _split(one), _split(other)
    return (a.host, a.path) == (b.host, b.path)


def host(url: str) -> str:
    """Return the host that *url* names."""
    return _split(url).host


def project(url: str) -> str:
    """Return the path of *url* as its host's API calls the repository: `acme/apps`."""
    return _split(url).path


def without_credentials(url: str) -> str:
    """Return *url* as it may be shown: over HTTP even the user's name may be a token."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    shown = parts.netloc.rpartition("@")[2]
    if not parts.scheme.startswith("http") and parts.username:
        shown = f"{parts.username}@{shown}"
    return parts._replace(netloc=shown).geturl()


def marked(url: str) -> str:
    """Return *url* as Flux v1 puts it into its marks: only the password left out, scp as ssh."""
    scp = _SCP.match(url) if "://" not in url else None
    if scp:
        user = f"{scp['user']}@" if scp["user"] else ""
        return f"ssh://{user}{scp['host']}/{scp['path'].removeprefix('/')}"
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    return parts._replace(netloc=user + parts.netloc.rpartition("@")[2]).geturl()


def directory_name(repository: str) -> str:
    """Return a folder's name for a repository: readable, and no two share one."""
    readable = re.sub(r"[^a-zA-Z0-9.-]+", "-", repository).strip("-")[-60:]
    return f"{readable}-{hashlib.sha256(repository.encode()).hexdigest()[:8]}"


def _split(url: str) -> _Parts:
    scp = _SCP.match(url) if "://" not in url else None
    if scp:
        found = _Parts(
            scheme="ssh", user=scp["user"] or "", host=scp["host"], port=None, path=scp["path"]
        )
    else:
        parts = urlsplit(url)
        found = _Parts(
            scheme=parts.scheme,
            user=parts.username or "",
            host=parts.hostname or "",
            port=parts.port,
            path=parts.path,
        )
    path = found.path.strip("/").removesuffix(".git").rstrip("/")
    return _Parts(
        scheme=found.scheme, user=found.user, host=found.host.lower(), port=found.port, path=path
    )
