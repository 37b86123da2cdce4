"""Reads the body of an answer, but not more of it than is sensible."""

import aiohttp

from services.registry_scanner.ports import UnreadableError


async def read(answer: aiohttp.ClientResponse, largest: int) -> bytes:
    """
    Return the whole body.

    Raises:
        UnreadableError: it has more than *largest* bytes, unpacked.
    """
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > largest:
            raise UnreadableError(f"an answer has more than {largest} bytes")
    return bytes(body)
