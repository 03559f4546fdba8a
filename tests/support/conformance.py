"""Compares every response of a service under test, and every successful request, with the two descriptions: the public
one, and postroom's own.
"""

from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from postroom.app.routes import BASE
from tests.support.description import Breach, Description, matches, own, reference


class Exception_(NamedTuple):  # noqa: N801 - "Exception" is taken
    """A difference between postroom's contract and the public description. The patterns match the whole text."""

    direction: str
    operation: str
    where: str
    why: str


#: The only differences between postroom and the public description.
EXCEPTIONS: Final = [
    Exception_(
        "answer", "getSyncedDevices", r"/data/\d+/(firstsynctime|lastupdatetime)",
        "of a device only text is never null; a moment that has not been is null, where 0 would be a day in 1970",
    ),
    Exception_(
        "request", "patchUser|postUser", "/(lang|aliases|altnames|fetchmail)",
        "null clears, whatever the field; the description allows it for some fields only",
    ),
    Exception_(
        "request", "patchUser", "/ldapID",
        "what a read answers may be sent back, so the current value is taken beside null",
    ),
    Exception_(
        "request", "patchStoreProps", "/.*",
        "null removes, booleans and arrays are values of properties, and a bad value is listed with the answer",
    ),
    Exception_(
        "request", "patchOrg|postOrgs|postRole|patchRole|patchUserRoles", r"/(domains|users|roles)/\d+",
        "what a read answers may be sent back, so what is referred to may be an object with an ID",
    ),
    Exception_(
        "request", "setLDAPConf|setOrgLDAPConf", "/(groups|connection/bind(User|Pass)|groups/.*|users/.*)",
        "null, as the emptied field of a form, means that something is not given",
    ),
]  # fmt: skip


class Conformance:
    """A hook for an application that records every breach of a description."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.asked: set[tuple[str, str]] = set()

    async def check(self, request: web.Request, response: web.StreamResponse) -> None:
        """Call this with every response before it goes out."""
        resource = request.match_info.route.resource
        path = resource.canonical.removeprefix(BASE) if resource is not None else ""
        operation = (request.method, path)
        if operation not in own().operations or response.status == 417:
            return  # 417 is of HTTP, before any operation has begun
        if not isinstance(response, web.Response):
            # Lines, which have not been made yet: tests/support/bulk.py checks them.
            self.asked.add(operation)
            return
        self.asked.add(operation)
        self._check_answer(operation, response)
        if response.status < 300:
            self._check_request(operation, request)

    def _check_answer(self, operation: tuple[str, str], response: web.Response) -> None:
        assert isinstance(response.body, bytes)
        body = orjson.loads(response.body)
        self._note("answer", operation, own(), own().answer_breaches(operation, response.status, body))
        if operation in reference().operations and reference().answer(operation, response.status) is not None:
            breaches = reference().answer_breaches(operation, response.status, body)
            self._note("answer", operation, reference(), breaches)

    def _check_request(self, operation: tuple[str, str], request: web.Request) -> None:
        raw = request._read_bytes
        if not raw or not raw.strip() or request.content_type != "application/json":
            return
        body = orjson.loads(raw)
        for description in (own(), reference()):
            if operation in description.operations:
                self._note("request", operation, description, description.body_breaches(operation, body))

    def _note(self, direction: str, operation: tuple[str, str], description: Description, breaches: Any) -> None:
        name = description.operations[operation]["operationId"]
        kind = "own" if description is own() else "reference"
        for breach in breaches:
            if description is own() or not is_excepted(direction, name, breach):
                self.breaches.append(f"{direction} of {name}, {kind} description: {breach.where}: {breach.what}")


def is_excepted(direction: str, operation_id: str, breach: Breach) -> bool:
    """Whether the table of exceptions lists this breach of the public description."""
    return any(
        each.direction == direction and matches(each.operation, operation_id) and matches(each.where, breach.where)
        for each in EXCEPTIONS
    )
