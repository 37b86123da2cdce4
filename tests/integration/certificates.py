"""What serves TLS on the loopback address."""

import base64
import ssl
import subprocess
from pathlib import Path


def certificate(directory: Path) -> tuple[ssl.SSLContext, str]:
    """Return what serves TLS on the loopback address, and its own authority, in base64."""
    named = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(directory / "key"), "-out", str(directory / "certificate"))
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    subprocess.run([*made, *named, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate", directory / "key")
    return context, base64.b64encode((directory / "certificate").read_bytes()).decode()
