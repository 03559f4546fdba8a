"""What has to be stored: every object with the documents that it may have.

Each client owns its objects and waits for one answer before it asks for the next thing, so the expectation is exact. A
write that nobody has answered may be there, as a whole, or not at all; that is settled when the object is read again.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

#: An object as it is read, and what is known of it that no read shows; None: there is no such object.
Document = dict[str, Any] | None
#: Parts of a document that no read shows: a password is tried out, and a resync is told to the device alone.
HIDDEN: Final = ("password", "due")


def visible(document: Document) -> Document:
    """The part of a document that a read shows."""
    return document and {name: value for name, value in document.items() if name not in HIDDEN}


@dataclass
class Version:
    """A document that an object got by a write: when that began, and when it was acknowledged (None: never)."""

    document: Document
    begun: float = -math.inf
    acknowledged: float | None = -math.inf


@dataclass
class Entry:
    """One object."""

    key: str
    versions: list[Version]
    object_id: int | None = None
    #: Whether it has been written to since it was last compared.
    touched: bool = True

    def allowed(self, at: float = math.inf) -> list[Document]:
        """The documents that it may have after a crash at this moment: the last one acknowledged, and later ones."""
        first = max(
            number
            for number, version in enumerate(self.versions)
            if version.acknowledged is not None and version.acknowledged <= at
        )
        return [version.document for version in self.versions[first:] if version.begun <= at]

    @property
    def is_certain(self) -> bool:
        """Whether there is only one document that it may have."""
        return len(self.allowed()) == 1

    @property
    def document(self) -> Document:
        """A copy of the newest one, to be changed."""
        return deepcopy(self.versions[-1].document)

    def settle(self, found: Document) -> bool:
        """Takes what was found for certain, if only one version fits. False when none does."""
        fitting = [document for document in self.allowed() if visible(document) == visible(found)]
        if found is not None and "password" in found:
            fitting = [document for document in fitting if document and document["password"] == found["password"]]
        now = time.monotonic()
        if len(fitting) == 1:
            self.versions = [Version(fitting[0], now, now)]
        return bool(fitting)


@dataclass
class Write:
    """One request, and what the objects are that it changes, once it is stored."""

    kind: str
    method: str
    path: str
    body: Any
    changes: Sequence[tuple[Entry, Document]]
    #: Says what is wrong with the body of the answer; None when nothing is.
    judge: Callable[[Any], str | None] = lambda _answer: None
    #: Whether it is several transactions, of which the first may be stored when a later one fails.
    in_parts: bool = False


class Ledger:
    """All objects, and what came of all writes."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.entries: list[Entry] = []
        self.acknowledged: Counter[str] = Counter()
        #: Writes that were refused with nothing stored, and those of which nobody knows.
        self.refused = self.unknown = 0
        self.compared = 0
        #: Changes of objects whose rows in the record of changes were found.
        self.recorded = 0
        self.lost: list[str] = []
        self.lies: list[str] = []
        #: (begun, answered) of each write that was acknowledged; the longest wait of a client.
        self.times: list[tuple[float, float]] = []
        self.slowest = 0.0

    def entry(self, key: str, document: Document = None) -> Entry:
        """A new object, which may be there already."""
        self.entries.append(Entry(key, [Version(document)]))
        return self.entries[-1]

    def begin(self, changes: Sequence[tuple[Entry, Document]]) -> list[Version]:
        """A write is sent: from now on it may be stored."""
        begun = self.now()
        made = [Version(document, begun, None) for _, document in changes]
        for (entry, _), version in zip(changes, made, strict=True):
            entry.versions.append(version)
            entry.touched = True
        return made

    def acknowledge(self, kind: str, versions: Sequence[Version]) -> None:
        """It was answered: from now on it has to be there."""
        now = self.now()
        for version in versions:
            version.acknowledged = now
        self.acknowledged[kind] += 1

    def withdraw(self, changes: Sequence[tuple[Entry, Document]], versions: Sequence[Version]) -> None:
        """The answer says that nothing was stored: it must not be there."""
        for (entry, _), version in zip(changes, versions, strict=True):
            entry.versions = [each for each in entry.versions if each is not version]

    def compare(self, entry: Entry, found: Document) -> None:
        """Compares what was read with what has to be stored."""
        self.compared += 1
        entry.touched = False
        if not entry.settle(found):
            wanted = " or ".join(str(differences(document, found)) for document in entry.allowed())
            hidden = f", password {found['password']!r}" if found and "password" in found else ""
            self.lost.append(f"{entry.key}: {wanted}{hidden}")

    def writes_again(self, after: float) -> float | None:
        """Seconds until a write that began after this moment was acknowledged; None when none was."""
        return min((end - after for begun, end in self.times if begun >= after), default=None)


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two documents differ, for people."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = [name for name in {**wanted, **found} if name not in HIDDEN or path]
        return [line for name in names for line in differences(wanted.get(name), found.get(name), f"{path}.{name}")]
    return [] if wanted == found else [f"{path or 'it'} is {found!r}, not {wanted!r}"]
