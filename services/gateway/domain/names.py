"""Names of images and of repositories, as far as clients spell them in their own ways."""

from shared.git.identity import same_repository
from shared.images import ImageRef, InvalidReferenceError


def canonical(image: str) -> str | None:
    """Return the image repository that *image* names; None where it is no reference."""
    try:
        return ImageRef.parse(image).canonical_repository
    except InvalidReferenceError:
        return None


def means_repository(url: str, configured: str) -> bool:
    """Tell whether a webhook's *url* means a repository; what is no URL means none."""
    try:
        return same_repository(url, configured)
    except ValueError:
        return False
