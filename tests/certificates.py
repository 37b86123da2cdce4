"""Certificates that sign themselves, for servers on the loopback address."""

import ssl
import subprocess
from pathlib import Path


def certificate(directory: Path, name: str = "IP:127.0.0.1") -> tuple[ssl.SSLContext, bytes]:
    """Return what serves TLS under a *name*, and its own authority."""
    directory.mkdir(exist_ok=True)
    named = ("-subj", "/CN=127.0.0.1", "-addext", f"subjectAltName={name}")
    files = ("-keyout", str(directory / "key"), "-out", str(directory / "certificate"))
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    subprocess.run([*made, *named, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate", directory / "key")
    return context, (directory / "certificate").read_bytes()
