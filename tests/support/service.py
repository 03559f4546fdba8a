"""A service on a free port, and a client that checks the one shape of every failure."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession, web

from postroom.app.config import Config
from postroom.app.limits.clients import Limits
from postroom.app.main import create_app
from postroom.app.server.runner import make_runner
from postroom.app.services.context import Context
from postroom.app.web.keys import CURRENT
from postroom.storage import role_holders, roles
from postroom.storage.faults import DatabaseError
from postroom.storage.sqlite import sqlite3
from tests.support import audited
from tests.support.conformance import Conformance
from tests.support.eavesdropper import Eavesdropper

ADMIN_PASSWORD = "correct horse"
#: The content type of lines, each of which is a JSON document.
NDJSON = "application/x-ndjson"


@dataclass
class Answer:
    """Status, headers and parsed JSON body of a response."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Service:
    """A running service."""

    app: web.Application
    url: str
    session: ClientSession
    conformance: Conformance
    eavesdropper: Eavesdropper
    runner: web.AppRunner

    @classmethod
    @asynccontextmanager
    async def started(cls, config: Config, limits: Limits | None = None) -> AsyncIterator["Service"]:
        """Runs for as long as the block does. Every response is compared with the descriptions of the API, and
        neither responses nor the log may contain a secret.
        """
        app, conformance = create_app(config), Conformance()
        app.on_response_prepare.append(conformance.check)
        eavesdropper = Eavesdropper()
        app.on_response_prepare.append(eavesdropper.check_answer)
        runner = make_runner(app, 1, limits)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            with eavesdropper:
                async with ClientSession() as session:
                    url = f"http://127.0.0.1:{port}"
                    yield cls(runner.app, url, session, conformance, eavesdropper, runner)
            breaches = [*conformance.breaches, *eavesdropper.breaches(), *await _unrecorded(runner.app)]
            assert not breaches, "\n".join(breaches)
        finally:
            await runner.cleanup()

    @property
    def context(self) -> Context:
        """The context of the service."""
        return self.app[CURRENT].context

    @property
    def api(self) -> "Api":
        """The API without a login."""
        return Api(self, {})

    async def login(self, name: str, password: str) -> "Api":
        """The API with a login by Bearer."""
        answer = await self.api.call("POST", "/login", {"user": name, "pass": password})
        assert answer.status == 200, answer.body
        return Api(self, {"Authorization": f"Bearer {answer.body['grommunioAuthJwt']}"})

    async def log_in_own(self, name: str, password: str = "") -> "Api":
        """The API with a login to what is the user's own, which needs no role."""
        body = {"user": name, "pass": password or USER_PASSWORD}
        answer = await self.api.call("POST", "/me/login", body)
        assert answer.status == 200, answer.body
        return Api(self, {"Authorization": f"Bearer {answer.body['grommunioAuthJwt']}"})

    async def login_with(self, domain_id: int, *permissions: tuple[str, Any], name: str = "helper") -> "Api":
        """The API with the login of a new user of the domain with a role of these (permission, scope)."""
        admin = await self.login("admin", ADMIN_PASSWORD)
        user = await admin.make_user(domain_id, name)

        def give_role(connection: Any) -> None:
            role_id = roles.insert_role(connection, f"role of {user['username']}", None)
            for permission, about in permissions:
                roles.insert_permission(connection, role_id, permission, **about)
            role_holders.set_user_roles(connection, user["ID"], [role_id])

        await self.context.database.write(give_role)
        return await self.login(user["username"], USER_PASSWORD)


async def _unrecorded(app: web.Application) -> list[str]:
    """What was changed without a row in the record of changes, where nobody else can have written."""
    context = app[CURRENT].context
    if context.config.database != ":memory:" or context.config.audit_days < 400:
        return []
    with contextlib.suppress(DatabaseError, sqlite3.Error):
        return await context.database.read(audited.missing)
    return []


USER_PASSWORD = "a user's password"


@dataclass
class Api:
    """Calls to the API of a service, with the headers of a login."""

    service: Service
    headers: dict[str, str]

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """One call. Every response must be JSON that is not cached, and every failure must have the one shape."""
        headers = {**self.headers, **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        url = f"{self.service.url}/api/v1{path}"
        async with self.service.session.request(method, url, headers=headers, **options) as response:
            text = await response.text()
            lines = response.content_type == NDJSON
            body = [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)
            answer = Answer(response.status, response.headers, body)
            assert lines or response.content_type == "application/json"
            assert response.headers["Cache-Control"] == "no-store"
        if answer.status >= 400:
            assert_failure(answer)
        return answer

    async def get(self, path: str, **options: Any) -> Any:
        """The body of a GET that must succeed."""
        return await self._success("GET", path, None, 200, options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The body of a POST that must create something."""
        return await self._success("POST", path, body, 201, options)

    async def put(self, path: str, body: Any = None, **options: Any) -> Any:
        """The body of a PUT that must succeed."""
        return await self._success("PUT", path, body, 200, options)

    async def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        """The body of a PATCH that must succeed."""
        return await self._success("PATCH", path, body, 200, options)

    async def delete(self, path: str, **options: Any) -> Any:
        """The body of a DELETE that must succeed."""
        return await self._success("DELETE", path, None, 200, options)

    async def refused(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> str:
        """The message and the listed reasons of a call that must fail with this status."""
        answer = await self.call(method, path, body, **options)
        assert answer.status == status, answer.body
        return " | ".join([answer.body["message"], *answer.body.get("errors", []), answer.body.get("error", "")])

    async def make_domain(self, name: str, **fields: Any) -> int:
        """The ID of a new domain."""
        created = await self.post("/system/domains", {"domainname": name, "maxUser": 100, **fields})
        return int(created["ID"])

    async def make_user(self, domain_id: int, name: str, **fields: Any) -> dict[str, Any]:
        """A new user, as in the response."""
        body = {"username": name, **fields}
        if body.get("status") not in (4, 5):
            body.setdefault("password", USER_PASSWORD)
        created: dict[str, Any] = await self.post(f"/domains/{domain_id}/users", body)
        return created

    async def _success(self, method: str, path: str, body: Any, status: int, options: dict[str, Any]) -> Any:
        answer = await self.call(method, path, body, **options)
        assert answer.status == status, answer.body
        return answer.body


def assert_failure(answer: Answer) -> None:
    """A failure has one shape: a sentence, perhaps reasons, and no internals."""
    body = answer.body
    assert set(body) <= {"message", "errors", "error", "requestID"}, body
    assert isinstance(body["message"], str)
    assert body["message"]
    assert body["message"][0].isupper()
    assert all(isinstance(reason, str) for reason in body.get("errors", []))
    assert ("error" in body) == (answer.status == 401)
    for inside in ("Traceback", "sqlite", "marshmallow", "<class", "object at 0x", "UNIQUE constraint"):
        assert inside not in json.dumps(body), body
