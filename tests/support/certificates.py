"""Certificates made during a test: an authority, and server certificates that it signs."""

import subprocess
from pathlib import Path

Pair = tuple[Path, Path]


def make_authority(folder: Path, name: str = "authority") -> Pair:
    """A certificate authority: the files of its certificate and its key."""
    return _made(folder, name, ["-addext", "basicConstraints=critical,CA:TRUE"])


def make_certificate(folder: Path, authority: Pair, names: str) -> Pair:
    """A certificate for a server with these names (`DNS:localhost,IP:127.0.0.1`), and its key."""
    signed = ["-CA", str(authority[0]), "-CAkey", str(authority[1])]
    return _made(folder, "server", [*signed, "-addext", f"subjectAltName={names}"])


def _made(folder: Path, name: str, options: list[str]) -> Pair:
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN=postroom {name}", "-keyout", str(key), "-out", str(certificate)),
            *options,
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
