"""Everything that another installation tells over the same API, as records.

Passwords are not told. A part that the installation does not have, or does not show to this login, is left out.

What responds there may be anything: no response may be larger than fits into memory or lead elsewhere with the login,
and none of them makes this go on for ever.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO, Final

import orjson
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar

from postroom.app.exchange.lines import line_of
from postroom.schemas.values.users import STATUS_CONTACT
from postroom.storage.progress import Report

JSON = dict[str, Any]

_API: Final = "/api/v1"
_TIMEOUT: Final = ClientTimeout(total=900, sock_connect=15, sock_read=120)
#: Bytes of a response, unpacked. A page of users with a hundred properties each has a few MiB.
_LARGEST: Final = 64 * 1024 * 1024
#: Users of a domain.
_MOST_USERS: Final = 10_000_000
_PAGE: Final = 500
#: Users that are asked about at the same time.
_AT_ONCE: Final = 8
#: Of a response: there is no such thing, or not for this login.
_NOT_SHOWN: Final = (403, 404, 405, 501)
_OK: Final = 200
_ELSEWHERE: Final = range(300, 400)
#: Of the response to a login.
_REFUSED: Final = (400, 401, 403, 429)

#: What a store sets itself, or counts.
_LEFT_OUT: Final = frozenset({
    "domainID", "orgID", "displayname", "activeUsers", "inactiveUsers", "virtualUsers", "homeserver", "mlist",
})  # fmt: skip
#: Device: name in the API -> name in a record, where they differ.
_DEVICE_ID: Final = "deviceid"


class RemoteError(Exception):
    """The installation cannot be read; the text says why."""


class Remote:
    """Another installation, logged in to."""

    def __init__(self, session: ClientSession, url: str, token: str) -> None:
        self._session = session
        self._base = url
        # The original takes a login from the cookie only.
        self._headers = {"Authorization": f"Bearer {token}", "Cookie": f"grommunioAuthJwt={token}"}
        #: What was not shown.
        self.missing: set[str] = set()

    async def write_lines(self, stream: BinaryIO, report: Report) -> None:
        """Writes a line for everything. Raises RemoteError, OSError."""
        try:
            async for kind, data in self._records(report):
                stream.write(line_of(kind, data))
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"[:200]
            raise RemoteError(f"{self._base} responds with something else than this API has ({reason})") from None

    async def _records(self, report: Report) -> AsyncIterator[tuple[str, JSON]]:
        orgs = await self._list("/system/orgs")
        for org in orgs:
            yield "organisation", _picked(org, ("name", "description"))
        domains = await self._list("/system/domains")
        org_names = {org["ID"]: org["name"] for org in orgs}
        for domain in domains:
            yield "domain", {**_told(domain), **_named("organisation", org_names.get(domain.get("orgID")))}
        names = {domain["ID"]: domain["domainname"] for domain in domains}
        for role in await self._list("/system/roles"):
            yield (
                "role",
                {
                    **_picked(role, ("name", "description")),
                    "permissions": [_permission(each, names, org_names) for each in role.get("permissions") or ()],
                },
            )
        for domain in domains:
            async for user in self._users(domain, report):
                yield "user", user

    async def _users(self, domain: JSON, report: Report) -> AsyncIterator[JSON]:
        path, offset = f"/domains/{domain['ID']}/users", 0
        seen: set[int] = set()
        while len(seen) <= _MOST_USERS:
            page = await self._get(path, level=2, limit=_PAGE, offset=offset)
            told = page["data"]
            # One that knows no offset shows the same users again.
            users = [user for user in told if user["ID"] not in seen]
            if not users:
                return
            seen.update(user["ID"] for user in users)
            for start in range(0, len(users), _AT_ONCE):
                some = users[start : start + _AT_ONCE]
                for user in await asyncio.gather(*(self._user(path, domain["domainname"], each) for each in some)):
                    yield user
                report(domain["domainname"], offset + start + len(some), int(page.get("count", 0)))
            offset += len(told)
            if len(told) < _PAGE:
                return
        raise RemoteError(f"{self._base}{path} has no end")

    async def _user(self, path: str, domainname: str, found: JSON) -> JSON:
        user = _told(found)
        del user["ID"]
        user["roles"] = [role["name"] for role in found.get("roles") or ()]
        if user.pop("fetchmail", None):
            self.missing.add("fetchmail entries, whose passwords are not told")
        user["altnames"] = [_picked(each, ("altname",)) for each in found.get("altnames") or ()]
        if user.get("forward"):
            user["forward"] = _picked(user["forward"], ("forwardType", "destination"))
        if user.get("status") == STATUS_CONTACT:
            address = user.get("properties", {}).pop("smtpaddress", None)
            return {**_without(user, "username"), "domain": domainname, **_named("username", address)}
        own = f"{path}/{found['ID']}"
        user["oof"] = await self._find(f"{own}/oof") or {}
        for name in ("delegates", "sendas"):
            user[name] = (await self._find(f"{own}/{name}") or {}).get("data", [])
        members = (await self._find(f"{own}/storeAccess") or {}).get("data", [])
        user["storeAccess"] = [member["username"] for member in members]
        devices = (await self._find(f"{own}/sync") or {}).get("data", [])
        user["devices"] = [{"deviceID": each[_DEVICE_ID], **_without(_filled(each), _DEVICE_ID)} for each in devices]
        return user

    async def _list(self, path: str) -> list[JSON]:
        found = await self._find(path, level=2, limit=1_000_000)
        return [] if found is None else list(found["data"])

    async def _find(self, path: str, **params: Any) -> JSON | None:
        """The response; None when there is no such thing, or not for this login."""
        try:
            return await self._get(path, **params)
        except _NotShownError:
            self.missing.add(path.rpartition("/")[2])
            return None

    async def _get(self, path: str, **params: Any) -> JSON:
        url = f"{self._base}{path}"
        try:
            async with self._session.get(url, params=params, headers=self._headers, allow_redirects=False) as response:
                if response.status in _NOT_SHOWN:
                    raise _NotShownError(f"{url} responds with {response.status}")
                found = await _document(url, response)
        except (ClientError, TimeoutError, ValueError) as error:
            raise RemoteError(f"{url}: {str(error) or type(error).__name__}") from None
        if not isinstance(found, dict):
            raise RemoteError(f"{url} responds with something else than an object")
        return found


class _NotShownError(RemoteError):
    """There is no such thing, or not for this login."""


async def log_in(session: ClientSession, url: str, user: str, password: str) -> str:
    """The token of a login. Raises RemoteError."""
    try:
        given = {"user": user, "pass": password}
        async with session.post(f"{url}/login", data=given, allow_redirects=False) as response:
            if response.status in _REFUSED:
                raise RemoteError(f"{url} refuses the login of {user} ({response.status})")
            return str((await _document(f"{url}/login", response))["grommunioAuthJwt"])
    except (ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
        raise RemoteError(f"{url}/login: {str(error) or type(error).__name__}") from None


def new_session() -> ClientSession:
    """For requests to installations; close it at the end."""
    return ClientSession(timeout=_TIMEOUT, cookie_jar=DummyCookieJar())


async def _document(url: str, response: ClientResponse) -> Any:
    """The body of a response. Raises RemoteError, ValueError."""
    if "Location" in response.headers:
        # Nobody else gets the login. The password in the body would be sent as well.
        raise RemoteError(
            f"{url} leads to {response.headers['Location'][:200]}; name that in its place, if it is right"
        )
    if response.status != _OK:
        raise RemoteError(f"{url} responds with {response.status}")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LARGEST:
            raise RemoteError(f"{url} responds with more than {_LARGEST:,} bytes")
    return orjson.loads(body)


def _told(fields: Mapping[str, Any]) -> JSON:
    return {name: value for name, value in fields.items() if name not in _LEFT_OUT and value is not None}


def _filled(fields: Mapping[str, Any]) -> JSON:
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _picked(fields: Mapping[str, Any], names: tuple[str, ...]) -> JSON:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _without(fields: Mapping[str, Any], *names: str) -> JSON:
    return {name: value for name, value in fields.items() if name not in names}


def _named(field: str, value: object) -> JSON:
    return {} if value is None else {field: value}


def _permission(given: Mapping[str, Any], domains: Mapping[int, str], orgs: Mapping[int, str]) -> Any:
    name, params = given["permission"], given.get("params")
    if params is None:
        return {"permission": name}
    known = orgs if name == "OrgAdmin" else domains
    return {"permission": name, "target": known.get(params, params) if isinstance(params, int) else params}
