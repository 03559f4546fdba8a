"""From the names that people use to the IDs of the API; a name that does not exist comes back with the nearest ones."""

import difflib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from postroom.app.cli.api import Api, CommandError, RefusedError

_FORBIDDEN: Final = 403
#: Most names that are compared with a name that does not exist.
_COMPARED: Final = 100
#: More users than a search for a whole address finds.
_ALL: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class User:
    """A user: their ID and domain, and what a list shows of them."""

    id: int
    domain_id: int
    document: dict[str, Any]

    @property
    def username(self) -> str:
        """The name by which people know them."""
        return str(self.document["username"])

    @property
    def path(self) -> str:
        """The path of the user in the API."""
        return f"/domains/{self.domain_id}/users/{self.id}"


@dataclass(frozen=True, slots=True)
class Named:
    """A domain, an organisation or a role: ID and name."""

    id: int
    name: str


async def find_domain(api: Api, name: str) -> Named:
    """The domain of this name, or ID. Raises CommandError."""
    found = (await api.get("/system/domains", level=0, **_key(name, "domainname")))["data"]
    if found:
        return Named(found[0]["ID"], found[0]["displayname"])
    domains = (await api.get("/domains", level=0))["data"]
    raise missing("domain", name, _near(name, (each["displayname"] for each in domains)))


async def find_org(api: Api, name: str) -> Named:
    """The organisation of this name, or ID. Raises CommandError."""
    if name.isascii() and name.isdigit():
        found = await api.get(f"/system/orgs/{name}", level=0)
        return Named(found["ID"], found["name"])
    return await _find_in(api, "/system/orgs", "organisation", name)


async def find_role(api: Api, name: str) -> Named:
    """The role of this name, or ID. Raises CommandError."""
    if name.isascii() and name.isdigit():
        found = await api.get(f"/system/roles/{name}", level=0)
        return Named(found["ID"], found["name"])
    return await _find_in(api, "/system/roles", "role", name)


async def _find_in(api: Api, path: str, thing: str, name: str) -> Named:
    found = (await api.get(path, level=0, name=name))["data"]
    if len(found) > 1:
        ids = ", ".join(str(each["ID"]) for each in found)
        raise CommandError(f"There are several of the name {name!r}; give one of their IDs: {ids}")
    if found:
        return Named(found[0]["ID"], found[0]["name"])
    others = (await api.get(path, level=0, limit=_COMPARED))["data"]
    raise missing(thing, name, _near(name, (each["name"] for each in others)))


async def find_user(api: Api, name: str) -> User:
    """The user of this username or alias. Raises CommandError."""
    _, at, domain_name = name.rpartition("@")
    if not at:
        # The name of a contact has no domain.
        async for user in everywhere(api, username=name):
            return user
        raise CommandError(f"There is no user {name!r}: an address is needed, such as anna@example.org")
    domain = await find_domain(api, domain_name)
    async for user in _list(api, f"/domains/{domain.id}/users", username=name):
        return user
    # A search finds whatever has the name inside of a longer one, too.
    async for user in everywhere(api, match=name, matchFields="aliases", level=2, limit=_ALL):
        if name.lower() in (alias.lower() for alias in user.document["aliases"]):
            return user
    near = _near(name.rpartition("@")[0], await _similar(api, domain, name))
    raise missing("user", name, near, domain.name)


async def find_device(api: Api, user: User, name: str) -> str:
    """The ID of the device of this ID, or whose ID alone begins with this. Raises CommandError."""
    known = [each["deviceid"] for each in (await api.get(f"{user.path}/sync"))["data"]]
    if name in known:
        return name
    found = [device_id for device_id in known if name and device_id.startswith(name)]
    if len(found) == 1:
        return str(found[0])
    if found:
        raise CommandError(f"Several devices of {user.username} begin with {name!r}: {', '.join(found)}")
    raise missing(f"device of {user.username}", name, _near(name, known))


async def everywhere(api: Api, **query: Any) -> AsyncIterator[User]:
    """The users of all domains that the caller may read."""
    for page in await pages_everywhere(api, **query):
        for each in page["data"]:
            yield User(each["ID"], each["domainID"], each)


async def pages_everywhere(api: Api, **query: Any) -> list[dict[str, Any]]:
    """Their pages: one if the caller may read the system, otherwise one of each domain that they may read."""
    try:
        return [await api.get("/system/users", **query)]
    except RefusedError as error:
        if error.status != _FORBIDDEN:
            raise
    domains = (await api.get("/domains", level=0))["data"]
    return [await api.get(f"/domains/{domain['ID']}/users", **query) for domain in domains]


async def _list(api: Api, path: str, **query: Any) -> AsyncIterator[User]:
    for each in (await api.get(path, **query))["data"]:
        yield User(each["ID"], each["domainID"], each)


async def _similar(api: Api, domain: Named, name: str) -> set[str]:
    """What stands before the @ in usernames that have one half of a name: with one mistake, the other half is right."""
    local = name.rpartition("@")[0]
    middle = (len(local) + 1) // 2
    names: set[str] = set()
    for half in (local[:middle], local[middle:]):
        if half.strip():
            query = {"match": half, "matchFields": "username", "limit": _COMPARED}
            names.update(
                [user.username.rpartition("@")[0] async for user in _list(api, f"/domains/{domain.id}/users", **query)]
            )
    return names


def missing(thing: str, name: str, near: Sequence[str], domain: str = "") -> CommandError:
    """There is none of this name, but perhaps one of these was meant, in this domain."""
    meant = " or ".join(f"{each}@{domain}" if domain else each for each in near)
    return CommandError(f"There is no {thing} {name!r}." + (f" Did you mean {meant}?" if near else ""))


def _near(name: str, others: Iterable[str]) -> list[str]:
    return difflib.get_close_matches(name, list(others), n=3)


def _key(name: str, field: str) -> dict[str, str]:
    return {"ID" if name.isascii() and name.isdigit() else field: name}


def part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")
