"""Failures: one shape for all, nothing of the inside, and never a 500 on input."""

import logging
from io import BytesIO
from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from postroom.storage.sqlite import sqlite3
from tests.support.service import Answer, Api, Service


def takes_body(route: Route) -> bool:
    """Whether the operation has a body by its description."""
    schemas = getattr(route.handler, "__schemas__", ())
    return any(entry["location"] in ("json", "form") for entry in schemas)


BODY_ROUTES = [route for route in ROUTES if takes_body(route)]


async def test_unknown_route(admin: Api) -> None:
    """A path that leads nowhere is a JSON 404."""
    for path in ("/nope", "/domains/1/users/1/nope", "/domains//users", "/"):
        await admin.refused(404, "GET", path)


async def test_unknown_route_outside_the_api(service: Service) -> None:
    """Also outside the API's base path a failure is JSON."""
    async with service.session.get(f"{service.url}/nope") as response:
        assert (response.status, await response.json()) == (404, {"message": "There is nothing at /nope"})


async def test_wrong_method(admin: Api) -> None:
    """A method that a path does not have is a 405 that names those it has."""
    answer = await admin.call("POST", "/status")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b'"text"', b"5", b"null", b"true", b"\xff\xfe", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 5000,
        b"", b"  ", b"{}x", b"{'a': 1}",
    ],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
async def test_bodies_that_are_no_object(admin: Api, domain: int, body: bytes) -> None:
    """Whatever is no JSON object where one is due is a 400, in every operation that has a body."""
    await admin.make_user(domain, "jane")
    names = {"domainID": domain, "userID": 99, "ID": 1, "username": "jane@example.org"}
    for route in BODY_ROUTES:
        path = route.path.format(**names, deviceID="phone", sessionID="x")
        answer = await admin.call(route.method, path, data=body, headers={"Content-Type": "application/json"})
        assert answer.status in expected_of(route, body), (route.method, route.path)


def expected_of(route: Route, body: bytes) -> tuple[int, ...]:
    """The statuses that a body which is no object may have."""
    if route.path in ("/login", "/me/login") and not body.strip():
        return (200,)  # a login without a body renews that of the token
    if route.path.endswith(("/delegates", "/sendas")) and body == b"[]":
        return (404, 400)  # an array is due here, and there is no such user; nor has the administrator a mailbox
    if route.path.endswith("/disabledPlugins") and body == b"[]":
        return (200,)  # an array is due here as well, and the domain is there
    if route.path.endswith(("/wipe", "/sync/{username}/{deviceID}")) and not body.strip():
        return (200, 400, 404)  # where every field may be missing, so may the body
    return (400,)


async def test_wrong_content_type(admin: Api, domain: int) -> None:
    """A body of another type is a 400 that says which is needed."""
    data = b'{"username": "jane", "password": "long enough"}'
    path = f"/domains/{domain}/users"
    for wrong in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        answer = await admin.call("POST", path, data=data, headers={"Content-Type": wrong})
        assert answer.status == 400
        assert "application/json" in answer.body["message"]
    typed = await admin.call("POST", path, data=data, headers={"Content-Type": "application/json; charset=utf-8"})
    assert typed.status == 201


async def test_body_too_large(admin: Api, domain: int) -> None:
    """More than 1 MiB is a 413; exactly as much as is allowed is read."""
    path = f"/domains/{domain}/users"
    answer = await admin.call(
        "POST", path, data=BytesIO(b" " * (1024 * 1024 + 1)), headers={"Content-Type": "application/json"}
    )
    assert answer.status == 413
    body = BytesIO(b'{"username": "jane", "password": "long enough"}'.ljust(1024 * 1024))
    answer = await admin.call("POST", path, data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 201


async def test_all_wrong_fields_are_listed(admin: Api, domain: int) -> None:
    """Several mistakes are listed one by one, each as "field: reason"."""
    body = {"username": 1, "password": 2, "status": "x", "nope": 1, "forward": {"forwardType": 9}}
    answer = await admin.call("POST", f"/domains/{domain}/users", body)
    assert answer.status == 400
    fields = {reason.partition(":")[0] for reason in answer.body["errors"]}
    assert fields == {"username", "password", "status", "nope", "forward.forwardType", "forward.destination"}


async def test_internal_error_shows_nothing(
    service: Service, admin: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of our own is a 500 with a request ID, under which the log has the traceback and no token."""

    async def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret inside")

    monkeypatch.setattr(type(service.context.database), "check", broken)
    with caplog.at_level(logging.ERROR):
        answer = await admin.call("GET", "/status")
    assert answer.status == 500
    assert "secret" not in str(answer.body)
    assert answer.body["requestID"] in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert admin.headers["Authorization"].split()[1] not in caplog.text


@pytest.mark.sqlite
async def test_a_full_disk_loses_nothing_and_is_a_503(service: Service, admin: Api, domain: int) -> None:
    """When SQLite itself has no room, the write is refused, nothing of it is there, and reads go on."""
    database = service.context.database

    def limit(connection: sqlite3.Connection, pages: int) -> None:
        (now,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {now + pages}").fetchall()

    await database.write(limit, 2)
    body = {"username": "jane", "password": "long enough", "properties": {"comment": "x" * 32_000}}
    answers: list[Answer] = [
        await admin.call("POST", f"/domains/{domain}/users", {**body, "username": f"u{number}"}) for number in range(3)
    ]
    assert answers[-1].status == 503
    stored = (await admin.get(f"/domains/{domain}/users"))["count"]
    assert stored == sum(answer.status == 201 for answer in answers)
    await database.write(limit, 1_000_000)
    await admin.make_user(domain, "again")


async def test_optional_body_may_be_missing(admin: Api) -> None:
    """A request without a body may say that it is JSON, or say nothing."""
    for headers in ({}, {"Content-Type": "application/json"}):
        await admin.delete("/system/mconf/ldap", headers=headers)


async def test_rule_that_only_the_database_knows(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A rule that a service overlooks is a 400 that names the field, and a line in the log; nothing is stored."""
    jane = await admin.make_user(domain, "jane")
    monkeypatch.setattr("postroom.app.transactions.names.check_username", lambda *_: None)
    reasons = await admin.refused(400, "POST", f"/domains/{domain}/users", {"username": "JANE", "password": "123456"})
    assert "username" in reasons
    assert "in use already" in reasons
    other = await admin.make_user(domain, "john")
    path = f"/domains/{domain}/users/{other['ID']}"
    assert "username" in await admin.refused(400, "PATCH", path, {"username": jane["username"], "smtp": True})
    assert await admin.get(path) == other
    assert [record.levelno for record in caplog.records if "broke a rule" in record.message] == [logging.WARNING] * 2


NAMES = ["straße", "STRASSE", "strasse", "Straſſe"]


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
async def test_names_that_are_the_same_in_other_letters(admin: Api, domain: int, first: str, second: str) -> None:
    """Whatever two spellings of a name meet as, it is a 400 that names the field, or one and the same."""
    user = await admin.make_user(domain, first, aliases=["other@example.org"])
    path, one, two = f"/domains/{domain}/users", f"{first}@example.org", f"{second}@example.org"
    create = {"username": second, "password": "123456"}
    assert "username" in await admin.refused(400, "POST", path, create)
    bert = {"username": "bert", "password": "123456"}
    assert "aliases" in await admin.refused(400, "POST", path, {**bert, "aliases": [two]})
    assert "aliases" in await admin.refused(400, "POST", path, {**bert, "aliases": ["x@example.org", "X@example.org"]})
    assert "altnames" in await admin.refused(400, "POST", path, {**bert, "altnames": [{"altname": two}]})
    own = f"{path}/{user['ID']}"
    assert "aliases" in await admin.refused(400, "PATCH", own, {"aliases": [two]})
    assert "username" in await admin.refused(400, "PATCH", own, {"username": "other"})
    await admin.patch(own, {"altnames": [{"altname": two}]})
    renamed = await admin.patch(own, {"username": second})
    assert renamed["username"].startswith(second.lower())
    await admin.patch(own, {"username": "new", "aliases": [one]})
    assert "alias" in await admin.refused(400, "PATCH", own, {"username": two})
    await admin.patch(own, {"username": two, "aliases": ["new@example.org"]})
    for kind in ("orgs", "roles"):
        await admin.post(f"/system/{kind}", {"name": first})
        assert "name" in await admin.refused(400, "POST", f"/system/{kind}", {"name": second})
