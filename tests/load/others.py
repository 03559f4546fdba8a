"""Writes about everything but users: domains, organisations, roles, tokens of programs, create defaults, plugins."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.load.ledger import Entry, Ledger, Write

#: The fields of a new domain, as a list shows them without what other writes change.
_DOMAIN: Final = {
    "orgID": 0, "maxUser": 10, "title": "", "address": "", "adminName": "", "tel": "", "endDay": "3333-03-03",
    "domainStatus": 0, "syncPolicy": None, "chat": False, "homeserver": None, "selfService": ["oof", "devices"],
}  # fmt: skip
_ELSEWHERE: Final = (
    "ID", "activeUsers", "inactiveUsers", "virtualUsers", "domainCount", "domains", "users",
    "owner", "created", "lastUsed", "lastSource",
)  # fmt: skip
#: Kind -> where it is, and the name of its name.
PATHS: Final = {
    "domain": ("/system/domains", "domainname"),
    "org": ("/system/orgs", "name"),
    "role": ("/system/roles", "name"),
    "token": ("/tokens", "name"),
}


def shape(document: dict[str, Any]) -> dict[str, Any]:
    """A domain, organisation, role or token without IDs and without what belongs to others or changes by itself."""
    found = {name: value for name, value in document.items() if name not in _ELSEWHERE}
    if "permissions" in found:
        found["permissions"] = [{**each, "ID": 0} for each in found["permissions"]]
    return found


@dataclass
class Things:
    """The objects of one client that are not users: `<kind>:<name>`."""

    ledger: Ledger
    random: Random
    #: The domain whose settings it changes.
    domain: int
    number: int
    own: dict[str, list[Entry]] = field(default_factory=lambda: {kind: [] for kind in PATHS})
    settings: dict[str, Entry] = field(default_factory=dict)
    #: Key -> what a program sends to use the token.
    texts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The settings are there from the beginning."""
        for kind, value in (("defaults", {"user": {}, "domain": {}}), ("plugins", [])):
            self.settings[kind] = self.ledger.entry(f"{kind}:{self.domain}", {"data": value})

    def next(self, count: int) -> Write:
        """The next write."""
        kind = self.random.choice(("domain", "domain", "org", "role", "role", "token", "settings"))
        if kind == "settings":
            return self._setting(count)
        usable = [each for each in self.own[kind] if each.is_certain and each.document is not None]
        if len(usable) < 4:
            return self._create(kind, count)
        entry = self.random.choice(usable)
        document = entry.document
        assert document is not None
        if kind == "token":
            return Write(kind, "DELETE", f"/tokens/{entry.object_id}", None, [(entry, None)])
        return {"domain": self._domain, "org": self._org, "role": self._role}[kind](entry, document, count)

    def _create(self, kind: str, count: int) -> Write:
        name = f"x{self.number}n{count}.example" if kind == "domain" else f"{kind} {self.number} {count}"
        entry = self.ledger.entry(f"{kind}:{name}")
        self.own[kind].append(entry)
        if kind == "domain":
            document: dict[str, Any] = {"domainname": name, "displayname": name, **_DOMAIN}
            return Write("domain", "POST", "/system/domains", {"domainname": name, "maxUser": 10}, [(entry, document)])
        if kind == "token":
            return self._token(entry, name)
        body: dict[str, Any] = {"name": name, "description": f"made {count}"}
        document = dict(body)
        if kind == "role":
            body["permissions"] = [{"permission": "DomainAdminRO", "params": self.domain}]
            document["permissions"] = [{"ID": 0, **body["permissions"][0]}]
        return Write(kind, "POST", f"/system/{kind}s", body, [(entry, document)])

    def _domain(self, entry: Entry, document: dict[str, Any], count: int) -> Write:
        path = f"/system/domains/{entry.object_id}"
        if self.random.random() < 0.15:
            return Write("domain", "DELETE", f"{path}?purge=true", None, [(entry, None)])
        if document["domainStatus"] == 0 and self.random.random() < 0.3:
            document["domainStatus"] = 3
            return Write("domain", "DELETE", path, None, [(entry, document)])
        changed = {"title": f"change {count}", "maxUser": count + 1, "domainStatus": 0}
        return Write("domain", "PATCH", path, changed, [(entry, {**document, **changed})])

    def _token(self, entry: Entry, name: str) -> Write:
        permissions = [{"permission": "DomainAdminRO", "params": self.domain}]
        body = {"name": name, "permissions": permissions, "readOnly": True, "expires": None}
        document = {**body, "permissions": [{"ID": 0, **permissions[0]}], "networks": []}

        def keep(answer: Any) -> None:
            self.texts[entry.key] = answer["token"]

        return Write("token", "POST", "/tokens", body, [(entry, document)], keep)

    def _org(self, entry: Entry, document: dict[str, Any], count: int) -> Write:
        return self._named("org", entry, {**document, "description": f"change {count}"}, ["description"])

    def _role(self, entry: Entry, document: dict[str, Any], count: int) -> Write:
        scope = self.random.choice([self.domain, "*"])
        document["permissions"] = [
            {"ID": 0, "permission": self.random.choice(["DomainAdmin", "DomainAdminRO"]), "params": scope}
        ]
        return self._named(
            "role", entry, {**document, "description": f"change {count}"}, ["description", "permissions"]
        )

    def _named(self, kind: str, entry: Entry, document: dict[str, Any], fields: list[str]) -> Write:
        path = f"/system/{kind}s/{entry.object_id}"
        if self.random.random() < 0.2:
            return Write(kind, "DELETE", path, None, [(entry, None)])
        body = {name: document[name] for name in fields}
        if "permissions" in body:
            body["permissions"] = [
                {name: each[name] for name in ("permission", "params")} for each in body["permissions"]
            ]
        return Write(kind, "PATCH", path, body, [(entry, document)])

    def _setting(self, count: int) -> Write:
        kind = self.random.choice(sorted(SETTINGS))
        names = [f"plugin{count}"] if count % 3 else []
        body = names if kind == "plugins" else {"user": {"lang": "fr_FR", "privChat": count % 2 == 0}, "domain": {}}
        return Write(kind, "PUT", SETTINGS[kind].format(self.domain), body, [(self.settings[kind], {"data": body})])


#: Where the settings of a domain are.
SETTINGS: Final = {"defaults": "/defaults/createParams/{}", "plugins": "/domains/{}/disabledPlugins"}
