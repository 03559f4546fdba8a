"""Whether the record of changes has a row for each write that was acknowledged."""

import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.load.ledger import Document, Entry

#: Rows of one request for them.
_ROWS = 1000


@dataclass(frozen=True)
class Due:
    """A row that has to be there."""

    what: str
    request_id: str
    #: Whom it is about; None: not known, or no user.
    user_id: int | None
    #: When the write was acknowledged.
    acknowledged: float

    def __str__(self) -> str:
        return f"{self.what} (request {self.request_id}) is not in the record"


class Rows:
    """The rows that have to be there, and what was found of them."""

    def __init__(self) -> None:
        self.due: list[Due] = []
        #: How many of these were found at least once.
        self.found = 0
        self._new: list[Due] = []
        self._seen = 1

    def expect(self, kind: str, request_id: str, entries: Iterable[Entry], acknowledged: float) -> None:
        """This request has changed these objects."""
        for entry in entries:
            user_id = entry.object_id if "@" in entry.key else None
            due = Due(f"{kind} of {entry.key}", request_id, user_id, acknowledged)
            self.due.append(due)
            self._new.append(due)

    async def check(
        self, get: Callable[[str], Awaitable[Any]], *, whole: bool, until: float = math.inf
    ) -> Sequence[str]:
        """What is missing: of all, or of what is new since the last time; `until`: what was acknowledged by then."""
        due = [each for each in (self.due if whole else self._new) if each.acknowledged <= until]
        missing = due
        # The clock may have been set back, so that new rows stand before those that were seen.
        for after in (1,) if whole else (self._seen, 1):
            rows, last = await _rows_after(get, after)
            missing = [each for each in missing if not _is_there(each, rows.get(each.request_id, set()))]
            if not missing:
                break
        if until == math.inf:
            self.found += len(set(self._new) - set(missing))
            self._new, self._seen = [], last
        return [str(each) for each in missing]

    def missing(self, rows: Iterable[tuple[str, int]], until: float) -> list[str]:
        """What is missing in rows (request, object) of what was acknowledged by a moment."""
        found: dict[str, set[int]] = defaultdict(set)
        for request_id, object_id in rows:
            found[request_id].add(object_id)
        due = [each for each in self.due if each.acknowledged <= until]
        return [str(each) for each in due if not _is_there(each, found.get(each.request_id, set()))]


async def _rows_after(get: Callable[[str], Awaitable[Any]], after: int) -> tuple[Mapping[str, set[int]], int]:
    """Request -> the IDs of its objects, of all rows behind this one; and the last ID."""
    rows: dict[str, set[int]] = defaultdict(set)
    while True:
        page = await get(f"/audit?limit={_ROWS}&before={after}")
        for row in page["data"]:
            rows[row["requestID"]].add(row["objectID"])
            after = max(after, row["ID"])
        if "nextBefore" not in page:
            return rows, after


def _is_there(due: Due, objects: set[int]) -> bool:
    return bool(objects) if due.user_id is None else due.user_id in objects


def changed(changes: Sequence[tuple[Entry, Document]]) -> list[Entry]:
    """The objects that a write that is about to be sent changes for certain."""
    return [
        entry
        for entry, document in changes
        if entry.is_certain and _recorded(entry.allowed()[0]) != _recorded(document)
    ]


def _recorded(document: Document) -> Document:
    """What a row would tell of: how many folders a device has is no decision of anybody."""
    if document is None or "devices" not in document:
        return document
    devices = {
        name: {each: value for each, value in device.items() if not each.startswith("folders")}
        for name, device in document["devices"].items()
    }
    return {**document, "devices": devices}
