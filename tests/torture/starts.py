"""Power losses while the service makes or changes its files: whatever is left, the next start succeeds."""

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from postroom.app.config import Config
from postroom.app.main import prepare
from postroom.storage.faults import DatabaseError, EngineError
from postroom.storage.migrations import latest
from postroom.storage.sqlite import sqlite3
from tests.support.service import ADMIN_PASSWORD
from tests.torture.disk import Start, present
from tests.torture.images import NAME, Images, column, look
from tests.torture.process import POSTROOM
from tests.torture.shim import Shim
from tests.torture.sound import complaints

_OLD: Final = Path(__file__).parents[1] / "data" / "schema_0001.sql"
_SERVE: Final = ("serve", "--port", "0", "--host", "127.0.0.1")


def _recorded(root: Path, name: str, make: Callable[[Path], None], *command: str) -> tuple[Shim, Start]:
    """Runs a command of postroom on what `make` has made, and records that."""
    folder = root / name.replace(" ", "-")
    folder.mkdir()
    make(folder)
    start = present(folder)
    shim = Shim(folder, record=True)
    environ = {"PATH": os.environ["PATH"], "POSTROOM_DATABASE": str(folder / NAME), **shim.environ}
    environ["POSTROOM_ADMIN_PASSWORD"] = ADMIN_PASSWORD
    with subprocess.Popen(
        [POSTROOM, *command], env=environ, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b"Database:"):
                time.sleep(0.2)
                process.kill()
    return shim, start


def _make_old(folder: Path) -> None:
    with closing(sqlite3.connect(folder / NAME)) as connection:
        connection.executescript(_OLD.read_text("utf-8"))


def _first_start(root: Path, name: str, found: Images) -> None:
    """A start that makes a new database: whatever it leaves, the next start succeeds."""
    shim, start = _recorded(root, name, lambda _folder: None, *_SERVE)
    look(found, name, shim, start, lambda image, _at: _opened(image))


def _migration(root: Path, name: str, found: Images) -> None:
    """A start that brings an old database up to date: all of it is there, and once it is new, so is the copy."""

    def check(image: Path, _at: int) -> list[str]:
        with closing(sqlite3.connect(image)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        copies = [each for each in image.parent.iterdir() if ".schema-" in each.name]
        wrong = [] if version != latest() or any(map(_is_old, copies)) else ["it is new, and there is no whole copy"]
        return wrong + _opened(image, users=expected)

    expected = _users_of_old()
    shim, start = _recorded(root, name, _make_old, *_SERVE)
    look(found, name, shim, start, check)


def _is_old(path: Path) -> bool:
    with suppress(EngineError), closing(sqlite3.connect(path)) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return whole and connection.execute("PRAGMA user_version").fetchone() == (1,)
    return False


def _users_of_old() -> set[int]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_OLD.read_text("utf-8"))
        return set(column(connection, "SELECT id FROM users"))


def _rotation(root: Path, name: str, found: Images) -> None:
    """A new key for all secrets: each image has a key that fits."""

    def make(folder: Path) -> None:
        _make_old(folder)
        _opened(folder / NAME)

    shim, start = _recorded(root, name, make, "key", "rotate", "--tokens")
    look(found, name, shim, start, lambda image, _at: _opened(image))


def _opened(path: Path, users: set[int] | None = None) -> list[str]:
    """What is wrong with a database after a start of the service."""
    try:
        asyncio.run(prepare(Config(database=str(path), admin_password=ADMIN_PASSWORD)))
    except DatabaseError as error:
        return [str(error)]
    with closing(sqlite3.connect(path)) as connection:
        stored = set(column(connection, "SELECT id FROM users"))
    return complaints(str(path), None) + ([] if users is None or stored >= users else [f"the users are {stored}"])


SCENARIOS: Final = {"a first start": _first_start, "a migration": _migration, "a key rotation": _rotation}
