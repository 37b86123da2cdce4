"""What is configured for a registry is found by every spelling of its name, and by no other."""

import pytest

from services.registry_scanner.settings import Settings
from shared.config.model import Config
from shared.images import ImageRef


def settings(host: str) -> Settings:
    return Settings.of(
        Config.model_validate(
            {
                "syncs": [{"name": "apps", "git": {"url": "https://git.example.com/apps"}}],
                "registries": [{"host": host, "insecure": True}],
            }
        )
    )


@pytest.mark.parametrize(
    ("host", "image"),
    [
        ("docker.io", "nginx"),
        ("registry-1.docker.io", "docker.io/acme/web"),
        ("index.docker.io", "registry-1.docker.io/acme/web"),
        ("GHCR.io", "ghcr.io/acme/web"),
        ("127.0.0.1:5000", "127.0.0.1:5000/web"),
        ("registry:5000", "registry:5000/web"),
    ],
)
def test_a_registry_is_known_by_every_spelling(host: str, image: str) -> None:
    assert ImageRef.parse(image).canonical_domain in settings(host).registries


@pytest.mark.parametrize("host", ["registry", "ghcr.io", "127.0.0.1:5000"])
def test_what_is_said_of_another_registry_is_not_for_docker_hub(host: str) -> None:
    assert ImageRef.parse("nginx").canonical_domain not in settings(host).registries
