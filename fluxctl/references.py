"""Image references as Flux v1's fluxctl shows them."""


def parts(image: str) -> tuple[str, str]:
    """Return an image without its tag and digest, and the tag."""
    name = image.partition("@")[0]
    colon = name.rfind(":")
    return (name, "") if colon <= name.rfind("/") else (name[:colon], name[colon + 1 :])


def written(image: str) -> str:
    """Return an image as it is shown: a digest says all, so no tag is shown beside it."""
    _, at, digest = image.partition("@")
    return f"{parts(image)[0]}@{digest}" if at else image
