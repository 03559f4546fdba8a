"""The entries of a directory in memory, by their distinguished names."""

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from postroom.testing.ldap_names import Place, parent_of, parse_dn, place_of, plain

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_DNS, "directory.test")
#: First attribute of a DN -> the class of an entry that only holds others.
_HOLDERS: Final = {"dc": b"dcObject", "o": b"organization", "ou": b"organizationalUnit"}


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry. `is_holder`: nobody has added it, but others are below it."""

    dn: str
    place: Place
    attributes: Mapping[str, Sequence[bytes]]
    is_holder: bool = False


class Tree:
    """Entries in the order in which they came. May be used from any thread: a change replaces everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: Mapping[Place, Stored] = {}
        self._made = 0

    @property
    def entries(self) -> Mapping[Place, Stored]:
        """All of them, as they are now."""
        return self._entries

    @property
    def state(self) -> tuple[Mapping[Place, Stored], int]:
        """Everything, for go_back()."""
        return self._entries, self._made

    def go_back(self, state: tuple[Mapping[Place, Stored], int]) -> None:
        """Everything is as it was."""
        with self._lock:
            self._entries, self._made = state

    def put(
        self,
        dn: str,
        attributes: Mapping[str, Sequence[bytes]],
        before: Stored | None = None,
        *,
        is_holder: bool = False,
    ) -> Stored:
        """Stores an entry, instead of `before`, and what has to be above it. Raises ValueError."""
        place = place_of(dn)
        with self._lock:
            entries = dict(self._entries)
            if before is not None and before.place != place:
                entries.pop(before.place, None)
            there = entries.get(place)
            if there is not None and there != before and not there.is_holder:
                raise ValueError(f"{dn} is in the directory already")
            self._hold_up(entries, dn)
            stored = entries[place] = Stored(dn, place, self._completed(dn, attributes), is_holder)
            self._entries = entries
        return stored

    def remove(self, stored: Stored) -> None:
        """Removes an entry."""
        with self._lock:
            self._entries = {place: each for place, each in self._entries.items() if place != stored.place}

    def _completed(self, dn: str, attributes: Mapping[str, Sequence[bytes]]) -> dict[str, Sequence[bytes]]:
        """With what every entry has: the values of its DN, and an ID of its own."""
        found: dict[str, Sequence[bytes]] = {name: tuple(values) for name, values in attributes.items() if values}
        there = {plain(name) for name in found}
        for name, value in parse_dn(dn)[0]:
            if plain(name) not in there:
                found[name] = (value.encode(),)
        if "entryuuid" not in there:
            self._made += 1
            found["entryUUID"] = (str(uuid.uuid5(_NAMESPACE, str(self._made))).encode(),)
        return found

    def _hold_up(self, entries: dict[Place, Stored], dn: str) -> None:
        """Makes the missing entries above one, up to the lowest `dc`, which is the root of the directory."""
        above = parent_of(dn)
        while above and (place := place_of(above)) not in entries:
            name = parse_dn(above)[0][0][0].lower()
            classes = {"objectClass": [_HOLDERS.get(name, b"top")]}
            entries[place] = Stored(above, place, self._completed(above, classes), is_holder=True)
            above = "" if name == "dc" else parent_of(above)
