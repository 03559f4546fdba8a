"""Reads a seed: a dict, or a file of YAML or JSON. Errors say where, with the line of a file."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from postroom.app.services import seeds
from postroom.app.services.context import Context
from postroom.app.transactions.seeds import RefusedSeedError
from postroom.schemas.seeds import SeedSchema
from postroom.testing.errors import SeedError
from postroom.testing.passwords import PASSWORD
from postroom.testing.places import UNKNOWN_FIELD, Place, line_of, meant, placed, reasons_of

#: A dict, the path of a file, or None for nothing at all.
Seed = Mapping[str, Any] | str | Path | None

_SCHEMA = SeedSchema()


class ReadSeed:
    """A seed that is there, with what its errors need: the name of its file, and the lines of places in it."""

    def __init__(self, seed: Seed) -> None:
        self._file = ""
        self._lines: dict[Place, int] = {}
        raw: Any = dict(seed) if isinstance(seed, Mapping) else {}
        if isinstance(seed, str | Path):
            self._file = str(seed)
            raw, self._lines = _parsed(Path(seed))
        if not isinstance(raw, dict):
            raise SeedError(f"{self._file}: A seed has organisations, domains, roles and users; this is none of them")
        self._raw: dict[str, Any] = raw
        #: The same for the same content.
        self.key = json.dumps(raw, sort_keys=True, default=str)
        try:
            self._loaded = _SCHEMA.load(raw)
        except ValidationError as error:
            raise self._error(reasons_of(error.messages)) from None

    async def plant(self, context: Context) -> None:
        """Stores it. Raises SeedError."""
        try:
            await seeds.plant(context, self._loaded, PASSWORD)
        except RefusedSeedError as error:
            raise self._error(placed(error.path, reason) for reason in error.reasons) from None

    def _error(self, reasons: Iterator[tuple[Place, str]]) -> SeedError:
        return SeedError("\n".join(self._shown(place, reason) for place, reason in reasons))

    def _shown(self, place: Place, reason: str) -> str:
        line = line_of(place, self._lines)
        if reason == UNKNOWN_FIELD:
            reason = f"Unknown field. {meant(_SCHEMA, place)}"
        where = f"{self._file}, line {line}" if line else self._file or "seed"
        return f"{where}: {'.'.join(map(str, place))}{self._name(place)}: {reason}"

    def _name(self, place: Place) -> str:
        """The name of the entry, because nobody counts entries from 0."""
        if len(place) < 2 or not isinstance(place[1], int):
            return ""
        entry: Any = self._raw
        try:
            for part in place[:2]:
                entry = entry[part]
        except (LookupError, TypeError):
            return ""
        if isinstance(entry, dict):
            entry = entry.get("username") or entry.get("domainname") or entry.get("name")
        return f" ({entry})" if isinstance(entry, str) else ""


def _parsed(path: Path) -> tuple[Any, dict[Place, int]]:
    """What a file says, and the line of each place in it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SeedError(f"The seed {path} cannot be read: {error}") from None
    try:
        # Reads JSON as well, and knows the lines.
        from postroom.testing import yaml_files
    except ImportError:
        if path.suffix == ".json":
            return _parsed_json(path, text), {}
        raise SeedError(f"{path} is YAML, which needs another package: pip install 'postroom[testing]'") from None
    if path.suffix == ".json":
        return _parsed_json(path, text), yaml_files.lines_of_json(path, text)
    return yaml_files.parse(path, text)


def _parsed_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SeedError(f"The seed {path} is no JSON: {error}") from None
