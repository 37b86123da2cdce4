"""
A registry of our own, for what a real one does only on a bad day, or only at a large company.

Pages with links, bearer tokens that expire, limits of rate, answers that are slow, broken or
hostile; and a log of what was asked. Read `server` first, `faults` for what can go wrong,
`content` for what it holds, `doors` for who gets in.
"""

from sandbox.oci_registry import faults
from sandbox.oci_registry.content import Content
from sandbox.oci_registry.doors import Basic, Door, Tokens
from sandbox.oci_registry.server import Asked, OciRegistry, oci_registry

__all__ = [
    "Asked",
    "Basic",
    "Content",
    "Door",
    "OciRegistry",
    "Tokens",
    "faults",
    "oci_registry",
]
