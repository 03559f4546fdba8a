"""People in a directory who change, and the syncs that take the changes over."""

from random import Random
from typing import Any, Final

from tests.load.ledger import Entry, Ledger, Write
from tests.support.people import CONFIG, add_person, document
from tests.support.slapd import Slapd

DOMAIN: Final = "example.com"
_PEOPLE: Final = 8


class Directory:
    """Some people, all of whom a client keeps up to date."""

    def __init__(self, slapd: Slapd, ledger: Ledger, random: Random, domain: int) -> None:
        self.people: dict[str, Entry] = {}
        self._slapd, self._ledger, self._random, self._domain = slapd, ledger, random, domain
        self._count = 0
        #: What the directory has.
        self._names: dict[str, str] = {}

    def fill(self) -> dict[str, Any]:
        """Adds the people; returns the configuration of the directory."""
        for number in range(_PEOPLE):
            add_person(self._slapd, f"person{number}")
        return {"path": CONFIG, "body": document(self._slapd)}

    @property
    def first_sync(self) -> str:
        """The path of the request that imports them."""
        return f"/domains/{self._domain}/ldap/downsync?import=true&timeout=60"

    def next(self) -> Write:
        """Changes some people in the directory; the write that takes this over, for all or for one of them."""
        self._count += 1
        chosen = self._random.sample(sorted(self.people), 3)
        changed = {name: f"Sync {self._count} of {name.partition('@')[0]}" for name in chosen}
        self._slapd.modify("\n".join(_change(self._slapd, name, text) for name, text in changed.items()))
        self._names.update(changed)
        if self._random.random() < 0.3 and (entry := self.people[chosen[0]]).is_certain:
            path = f"/domains/{self._domain}/users/{entry.object_id}/downsync"
            return Write("downsync", "PUT", path, None, [(entry, self._document(chosen[0]))])
        path = f"/domains/{self._domain}/ldap/downsync?timeout=60"
        changes = [(entry, self._document(name)) for name, entry in self.people.items()]
        return Write("sync", "POST", path, None, changes, _judge, in_parts=True)

    def _document(self, name: str) -> dict[str, Any]:
        found = self.people[name].document
        assert found is not None
        if name in self._names:
            found["user"]["properties"]["displayname"] = self._names[name]
        return found


def _judge(answer: Any) -> str | None:
    failed = [item for item in answer["data"] if item["code"] not in (200, 201)]
    return f"not everybody was updated: {failed}" if failed else None


def _change(slapd: Slapd, name: str, text: str) -> str:
    dn = f"uid={name.partition('@')[0]},{slapd.people_dn}"
    return "\n".join([f"dn: {dn}", "changetype: modify", "replace: displayName", f"displayName: {text}", ""])
