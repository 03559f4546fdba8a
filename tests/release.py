"""Builds what is released, the sdist and the wheel, from the last commit: twice, because both have to be the same.

    .venv/bin/python -m tests.release [FOLDER]      writes them into FOLDER [dist]

The wheel is built from the sdist. The times of all files are that of the commit (SOURCE_DATE_EPOCH).
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main(arguments: list[str]) -> int:
    """Builds; returns the exit code."""
    target = Path(arguments[0] if arguments else ROOT / "dist").absolute()
    with tempfile.TemporaryDirectory() as folder:
        first, second = (build(Path(folder) / name) for name in ("first", "second"))
        if first != second:
            print(f"Two builds of one commit differ: {first} and {second}", file=sys.stderr)
            return 1
        target.mkdir(parents=True, exist_ok=True)
        for name, digest in first.items():
            shutil.copy(Path(folder) / "first" / "built" / name, target)
            print(f"{digest}  {name}")
    return 0


def build(folder: Path) -> dict[str, str]:
    """Builds the last commit below a folder, in `built`; name of each file -> its SHA-256."""
    epoch = int(_git("log", "-1", "--format=%ct"))
    source, built = folder / "source", folder / "built"
    source.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "HEAD"))) as archive:
        archive.extractall(source, filter="data")
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "build", "--outdir", str(built), str(source)]
    result = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(result.stdout + result.stderr)
    for sdist in built.glob("*.tar.gz"):
        level(sdist, epoch)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(built.iterdir())}


def level(sdist: Path, epoch: int) -> None:
    """Writes an sdist anew without what differs between machines: times, owners, and the order of files.

    setuptools writes the time of the build into generated files and into the head of the archive.
    """
    plain = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            content = old.extractfile(member)
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            new.addfile(member, content)
    with sdist.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=epoch) as packed:
        packed.write(plain.getvalue())


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
