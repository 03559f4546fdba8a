"""Writes about users, of every kind: what is sent, and what the user is afterwards."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.load.ledger import Entry, Write
from tests.support.service import ADMIN_PASSWORD

_LANGUAGES: Final = ("de_DE", "fr_FR", "en_US", "")
_DEVICES: Final = ("phone", "tablet", "watch")
#: A wipe that is due, and a device that is fine.
_WIPE, _FINE = 16, 1


@dataclass
class Home:
    """The domain of one client, with a role and a user (its anchor) that never change."""

    domain: int
    name: str
    anchor: str
    role: dict[str, Any]
    #: A new user without anything.
    template: dict[str, Any]

    @property
    def path(self) -> str:
        """Its users."""
        return f"/domains/{self.domain}/users"


@dataclass
class Turn:
    """One write in the making: `document` is changed to what it has to be afterwards."""

    random: Random
    home: Home
    entry: Entry
    document: dict[str, Any]
    #: A number that no other write of this client has.
    count: int

    @property
    def user(self) -> dict[str, Any]:
        """The user as in lists."""
        user: dict[str, Any] = self.document["user"]
        return user

    @property
    def path(self) -> str:
        """The user's own."""
        return f"{self.home.path}/{self.entry.object_id}"

    def send(self, method: str, suffix: str, body: Any = None) -> tuple[str, str, Any]:
        """A request below the user's path."""
        return method, self.path + suffix, body


Request = tuple[str, str, Any]


def shape(user: dict[str, Any]) -> dict[str, Any]:
    """A user as a read shows them, without IDs and times."""
    shown = {name: value for name, value in user.items() if name != "ID"}
    shown["fetchmail"] = [{**each, "ID": 0, "date": ""} for each in user["fetchmail"]]
    shown["properties"] = {name: value for name, value in user["properties"].items() if name != "creationtime"}
    return shown


def new_user(home: Home, name: str, count: int, *, shared: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body that creates a user, and what that is afterwards."""
    document = deepcopy(home.template)
    properties = {"displayname": f"new {count}", "comment": "x" * (count % 700)}
    if not properties["comment"]:
        del properties["comment"]
    body: dict[str, Any] = {"username": name, "properties": properties, "aliases": [f"{name}-first@{home.name}"]}
    user = document["user"]
    user.update(username=f"{name}@{home.name}", aliases=body["aliases"], status=4 if shared else 0)
    user["properties"].update(properties)
    document["password"] = None if shared else f"the first of {name}"
    body.update({"status": 4} if shared else {"password": document["password"]})
    return body, document


def _fields(turn: Turn) -> Request:
    changed = {
        "lang": turn.random.choice(_LANGUAGES),
        "privChat": turn.random.random() < 0.5,
        "smtp": turn.random.random() < 0.5,
    }
    turn.user.update(changed)
    return turn.send("PATCH", "", {**changed, "properties": _properties(turn)})


def _properties(turn: Turn) -> dict[str, Any]:
    text = f"change {turn.count} " + "y" * turn.random.randrange(300)
    turn.user["properties"]["displayname"] = text
    return {"displayname": text}


def _names(turn: Turn) -> Request:
    local, number = turn.entry.key.partition("@")[0], turn.count
    turn.user["aliases"] = [f"{local}-{number}-{each}@{turn.home.name}" for each in range(turn.random.randrange(3))]
    turn.user["altnames"] = [{"altname": f"{local}+{number}", "magic": 0}] if turn.random.random() < 0.5 else []
    names = [{"altname": each["altname"]} for each in turn.user["altnames"]]
    return turn.send("PATCH", "", {"aliases": turn.user["aliases"], "altnames": names})


def _rename(turn: Turn) -> Request:
    name = f"{turn.entry.key.partition('@')[0]}-{turn.count}"
    turn.user["username"] = f"{name}@{turn.home.name}"
    return turn.send("PATCH", "", {"username": name})


def _forward(turn: Turn) -> Request:
    there = turn.user["forward"] is not None
    turn.user["forward"] = None if there else {"forwardType": 1, "destination": f"far{turn.count}@example.net"}
    return turn.send("PATCH", "", {"forward": turn.user["forward"]})


def _store_properties(turn: Turn) -> Request:
    properties = turn.user["properties"]
    if "storagequotalimit" in properties:
        del properties["storagequotalimit"]
        return turn.send("DELETE", "/storeProps?properties=storagequotalimit")
    changed = {"storagequotalimit": 1000 + turn.count, "comment": f"property {turn.count}"}
    properties.update(changed)
    return turn.send("PATCH", "/storeProps", changed)


def _roles(turn: Turn) -> Request:
    role = turn.home.role
    turn.user["roles"] = [] if turn.user["roles"] else [{"ID": role["ID"], "name": role["name"]}]
    return turn.send("PATCH", "/roles", {"roles": [each["ID"] for each in turn.user["roles"]]})


def _store_access(turn: Turn) -> Request:
    if turn.document["storeAccess"]:
        turn.document["storeAccess"] = []
        return turn.send("DELETE", f"/storeAccess/{turn.home.anchor}")
    turn.document["storeAccess"] = [turn.home.anchor]
    if turn.count % 2:
        return turn.send("POST", "/storeAccess", {"username": turn.home.anchor})
    return turn.send("PUT", "/storeAccess", {"usernames": [turn.home.anchor]})


def _grants(turn: Turn) -> Request:
    kind = turn.random.choice(("delegates", "sendas"))
    strangers = [f"friend{turn.count + each}@example.net" for each in range(turn.random.randrange(4))]
    turn.document[kind] = [*strangers, turn.home.anchor] if turn.random.random() < 0.5 else strangers
    return turn.send("PUT", f"/{kind}", turn.document[kind])


def _oof(turn: Turn) -> Request:
    changed = {"state": turn.count % 2, "internalSubject": f"Away {turn.count}", "internalReply": "z" * 200}
    turn.document["oof"].update(changed)
    return turn.send("PUT", "/oof", changed)


def _password(turn: Turn) -> Request:
    if turn.user["status"] != 0:
        return _fields(turn)  # nobody logs in there
    if not turn.user["roles"]:
        return _roles(turn)  # without one nobody can log in, so the password could not be tried out
    new = f"password {turn.count} of {turn.entry.key}"
    turn.document["password"] = new
    return turn.send("PUT", "/password", {"new": new})


def _report(turn: Turn) -> Request:
    name = turn.random.choice(_DEVICES)
    device = turn.document["devices"].setdefault(name, {"wipeStatus": 0})
    device.update(devicetype="phone", foldersSynced=turn.count, foldersSyncable=turn.count + 1)
    body = {each: device[each] for each in ("devicetype", "foldersSynced", "foldersSyncable")}
    turn.document["due"] = [each for each in turn.document["due"] if each != name]
    return "PUT", f"/service/sync/{turn.user['username']}/{name}", body


def _device(turn: Turn) -> Request:
    """Whatever an administrator does with a device."""
    devices = turn.document["devices"]
    if not devices:
        return _report(turn)
    name = turn.random.choice(sorted(devices))
    path, device = f"/sync/{name}", devices[name]
    deed = turn.random.choice(("resync", "wipe", "remove"))
    if deed == "wipe" and device["wipeStatus"] == _WIPE:
        device["wipeStatus"] = _FINE
        return turn.send("DELETE", f"{path}/wipe")
    if deed == "wipe":
        device["wipeStatus"] = _WIPE
        return turn.send("POST", f"{path}/wipe", {"password": ADMIN_PASSWORD, "status": _WIPE})
    turn.document["due"] = sorted({*turn.document["due"], name})
    if deed == "remove":
        del devices[name]
        return turn.send("DELETE", path)
    return turn.send("PUT", f"{path}/resync")


#: What is done with a user -> how often, of a hundred.
KINDS: Final[dict[str, tuple[Callable[[Turn], Request], int]]] = {
    "fields": (_fields, 20),
    "names": (_names, 10),
    "rename": (_rename, 4),
    "forward": (_forward, 6),
    "store properties": (_store_properties, 10),
    "roles": (_roles, 7),
    "store access": (_store_access, 7),
    "grants": (_grants, 8),
    "out of office": (_oof, 6),
    "device report": (_report, 10),
    "device": (_device, 10),
    "password": (_password, 6),
}


def change(random: Random, home: Home, entry: Entry, count: int) -> Write:
    """A write that changes a user."""
    document = entry.document
    assert document is not None
    turn = Turn(random, home, entry, document, count)
    names = list(KINDS)
    (kind,) = random.choices(names, [KINDS[name][1] for name in names])
    due = list(document["due"])
    method, path, body = KINDS[kind][0](turn)
    device = path.rpartition("/")[2] if path.startswith("/service/sync/") else None

    def judge(answer: Any) -> str | None:
        told = answer["data"]["resync"] if device else False
        return None if device is None or told == (device in due) else f"the device was told {answer}, due were {due}"

    return Write(kind, method, path, body, [(entry, turn.document)], judge)
