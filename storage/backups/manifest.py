"""What stands beside a backup: a JSON document that says what it is of, and its checksum."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from postroom.storage.files import write_private

#: What a manifest's name has more than that of its backup; the same of a copy of the key file.
MANIFEST, KEY = ".json", ".key"
#: The manifest is of this form. A later form has another number.
_FORM: Final = 1
#: Longer files are no manifests.
_LONGEST: Final = 64 * 1024
#: How a time is written in a manifest, always of UTC.
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class BackupError(Exception):
    """It is refused: trying again does not help. The text says why, for people."""


class DamagedBackupError(BackupError):
    """A backup is not what it was, or is none."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A backup: `database` names what it is of, for people, `time` the moment whose state it has."""

    postroom: str
    schema: int
    engine: str
    database: str
    time: str
    users: int
    #: The ID of the key that encrypts its secrets; it reveals nothing of the key.
    key_id: str | None
    size: int
    sha256: str
    form: int = _FORM

    @property
    def when(self) -> datetime:
        """The moment."""
        return datetime.strptime(self.time, _TIME).replace(tzinfo=UTC)

    def write(self, backup: Path) -> None:
        """Writes it beside the backup. OSError."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
        write_private(beside(backup, MANIFEST), text.encode(), owner_of=backup.parent, replace=True)


def beside(backup: Path, what: str) -> Path:
    """The file that belongs to a backup."""
    return backup.with_name(backup.name + what)


def moment(when: datetime) -> str:
    """A time as manifests have it."""
    return when.astimezone(UTC).strftime(_TIME)


def read_manifest(backup: Path) -> Manifest | None:
    """The manifest of a backup; None when there is none. DamagedBackupError, OSError."""
    path = beside(backup, MANIFEST)
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1)
    except FileNotFoundError:
        return None
    try:
        found = _parsed(json.loads(text))
    except (ValueError, RecursionError):
        found = None
    if found is None or len(text) > _LONGEST:
        raise DamagedBackupError(f"{path} is damaged, or is not the manifest of a backup")
    return found


def _parsed(document: object) -> Manifest | None:
    if not isinstance(document, Mapping):
        return None
    named = {field.name: document.get(field.name) for field in fields(Manifest)}
    numbers = {name: named[name] for name in ("schema", "users", "size", "form")}
    texts = {name: named[name] for name in ("postroom", "engine", "database", "time", "sha256")}
    if not all(type(number) is int for number in numbers.values()):
        return None
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(named["key_id"], str | None):
        return None
    found = Manifest(**named)  # type: ignore[arg-type]
    moment(found.when)
    return found if found.form == _FORM else None
