"""How much of what is stored a seed or an export tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

JSON = dict[str, Any]

#: What says nothing.
_NOTHING: Final[tuple[object, ...]] = (None, "", [], {})
#: What another store gives anew: IDs and counts, and names and times that follow from something else.
_MADE_ANEW: Final = frozenset({
    "ID", "activeUsers", "date", "displayname", "domainID", "homeserver", "inactiveUsers", "mlist", "orgID",
    "virtualUsers",
})  # fmt: skip
#: What follows from something else, also in the same store.
_FOLLOWS: Final = _MADE_ANEW - {"ID", "date"}


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is told. Without `secrets` there are no hashes of passwords, no tokens, and no fetchmail entries, which
    need their passwords. Tokens that have expired by `now` are left out. `exact`: also what a store sets itself (IDs,
    times, the history of wipes), and what is a default.
    """

    now: datetime
    secrets: bool
    exact: bool = False


def told(fields: Mapping[str, Any], extent: Extent, defaults: Mapping[str, Any] | None = None) -> JSON:
    """The fields that are told."""
    if not extent.exact:
        return filled(fields, defaults)
    return {name: value for name, value in fields.items() if name not in _FOLLOWS and value not in _NOTHING}


def filled(fields: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> JSON:
    """The fields that say something."""
    return {
        name: value
        for name, value in fields.items()
        if name not in _MADE_ANEW and value not in _NOTHING and value != (defaults or {}).get(name)
    }
