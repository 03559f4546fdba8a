"""A record: one organisation, domain, role, user or token, as it stands in a file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

#: One line, of either form. A user with a hundred properties has a few KiB.
LONGEST_LINE: Final = 1024 * 1024


class UnreadableFileError(Exception):
    """A file as a whole is not what it should be; the text says what, where, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Record:
    """What stands at a place of a source."""

    #: A key of schemas.records.KINDS; empty where it could not be read.
    kind: str
    #: An object, or a name alone.
    data: Any
    #: For people: "users.csv, line 7".
    place: str
    #: Why it could not be read.
    faults: Sequence[str] = ()
    #: As it stands there: the bytes of a line, the cells of a row.
    raw: bytes | Sequence[str] = b""


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` where something similar is known."""
    found = get_close_matches(name, [*known], 1)
    return f'; did you mean "{found[0]}"?' if found else ""
