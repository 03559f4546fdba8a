"""What a check is, and what it finds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final, Generic, TypeVar

from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, EngineError

#: Examples that a finding shows, and the longest text of one.
MOST_EXAMPLES: Final = 3
LONGEST_EXAMPLE: Final = 120

#: Why the schema of a database is not examined that a newer version has made.
NEWER: Final = "this version can work with the newer schema {}, but does not know it"

#: What a check looks at: a connection, the files of a database, or the machine.
T = TypeVar("T")


class State(StrEnum):
    """What is said of something that was looked at."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. Nothing in it is a secret."""

    group: str
    name: str
    state: State
    #: What is true, or what was found instead.
    message: str
    #: How many faults there are, and a few of them.
    count: int = 0
    examples: tuple[str, ...] = ()
    #: What to do about it; "" when all is well.
    advice: str = ""
    #: How many faults a repair has just removed.
    repaired: int = 0


class UnexaminedError(Exception):
    """Something cannot be looked at, which says nothing about whether it is right. The text has the reason."""


@dataclass(frozen=True, slots=True)
class Check(Generic[T]):
    """Something that should be true, and how to find what is not so."""

    group: str
    name: str
    #: What is true when all is well.
    promise: str
    #: What is said of faults, with their number behind it: "users without a username".
    fault: str
    #: One text for each fault.
    find: Callable[[T], Iterable[str]]
    advice: str
    state: State = State.WRONG
    #: Makes it true without losing anything: gets a repairs.Store, or what the check looks at if that is no database.
    repair: Callable[[Any], object] | None = None

    def examine(self, subject: T) -> Finding:
        """Looks for faults. A database that fails meanwhile is one, and so is one in which there is nonsense."""
        try:
            return self.found(self.find(subject))
        except (UnexaminedError, OSError) as error:
            return Finding(self.group, self.name, State.WARNING, f"Not examined: {error}")
        except (EngineError, DatabaseError) as error:
            advice = "See what the check of the file says; if that has found nothing, run the command again"
            found = (_shortened(str(error)),)
            return Finding(self.group, self.name, State.WRONG, "The database failed meanwhile", 1, found, advice)
        except (TypeError, ValueError) as error:
            # Where pages are damaged, anything may stand in the place of a text or a number.
            found = (_shortened(str(error)),)
            advice = "See what the check of the file says, and restore a backup"
            return Finding(self.group, self.name, State.WRONG, "What is stored cannot be read", 1, found, advice)

    def found(self, faults: Iterable[str]) -> Finding:
        """The finding for these faults."""
        count, examples = _counted(faults)
        if not count:
            return Finding(self.group, self.name, State.OK, self.promise)
        message = f"{self.fault[0].upper()}{self.fault[1:]}: {count:,}"
        return Finding(self.group, self.name, self.state, message, count, examples, self.advice)


def rows(sql: str, *values: object) -> Callable[[Connection], Iterator[str]]:
    """Finds faults by a statement whose first column is a text for each."""

    def find(connection: Connection) -> Iterator[str]:
        for row in connection.execute(sql, values):
            yield str(row[0])

    return find


def _counted(faults: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """How many there are, and the first few."""
    rest = iter(faults)
    examples = tuple(_shortened(text) for text in islice(rest, MOST_EXAMPLES))
    return len(examples) + sum(1 for _ in rest), examples


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…"
