"""What tests of backups share."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from postroom.storage.backups import restoring, taking
from postroom.storage.backups.manifest import Manifest
from postroom.storage.backups.restoring import Restored
from postroom.storage.backups.verifying import verify
from postroom.storage.connections import connect_plain, uri_of
from postroom.storage.keyring import Keyring


def quiet(_what: str, _done: int, _total: int) -> None:
    """Nobody looks."""


def back_up(database: object, target: Path, **options: Any) -> taking.Taken:
    """A backup of a database."""
    return taking.take(taking.Order(str(database), target, **options), quiet)


def bring_back(backup: Path, database: object, **options: Any) -> Restored:
    """Restores it."""
    return restoring.restore(restoring.Order(backup, str(database), **options), quiet)


def verified(backup: Path, key_file: str = "/nonexistent") -> Manifest:
    """The manifest of a backup that can be restored."""
    return verify(backup, key_file, quiet).manifest


def content(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with contextlib.closing(connect_plain(uri_of(str(database)), Keyring(None))) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr) for (name,) in names}


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def rewrite(backup: Path, changes: Mapping[str, object]) -> None:
    """Changes fields of a backup's manifest."""
    path = backup.with_name(f"{backup.name}.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def copied(backup: Path, manifest: Manifest, to: Path) -> Path:
    """The same backup under another name, as old as its manifest says."""
    to.write_bytes(backup.read_bytes())
    manifest.write(to)
    return to
