"""Which SSH host keys are trusted. The fingerprints are those that the hosts publish."""

import base64
from hashlib import sha256

from shared.git.known_hosts import WELL_KNOWN, merged

FINGERPRINTS = {
    ("github.com", "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"),
    ("github.com", "p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM"),
    ("gitlab.com", "eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8"),
    ("gitlab.com", "HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw"),
    ("bitbucket.org", "ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM"),
    ("bitbucket.org", "FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0"),
}


def fingerprint(line: str) -> tuple[str, str]:
    name, _, key = line.split()
    digest = sha256(base64.b64decode(key)).digest()
    return name, base64.b64encode(digest).decode().rstrip("=")


def test_the_keys_that_come_with_us_are_the_published_ones() -> None:
    assert {fingerprint(line) for line in WELL_KNOWN} == FINGERPRINTS


def test_what_is_configured_is_trusted_beside_them() -> None:
    text = merged(["git.example.com ssh-ed25519 AAAA", "[other.example.com]:2222 ssh-rsa BBBB\n"])
    assert text.splitlines()[:2] == [
        "git.example.com ssh-ed25519 AAAA",
        "[other.example.com]:2222 ssh-rsa BBBB",
    ]
    assert text.splitlines()[2:] == list(WELL_KNOWN)


def test_whoever_names_the_keys_of_a_known_host_is_believed() -> None:
    text = merged(["github.com,192.0.2.1 ssh-ed25519 AAAA"])
    assert [line for line in text.splitlines() if "github.com" in line] == [
        "github.com,192.0.2.1 ssh-ed25519 AAAA"
    ]
