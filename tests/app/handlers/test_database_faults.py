"""A database that cannot be used is a 503 and one line in the log; a wrong statement is a 500 with its traceback."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3
from tests.support.damage import damage, limited_files
from tests.support.service import ADMIN_PASSWORD, Answer, Api, Service

pytestmark = pytest.mark.sqlite

StartService = Callable[..., Awaitable[Service]]

#: The ways in which handlers and services ask the database.
WAYS = ("look_up", "fetch_by_key", "fetch_row_by_key", "search", "read", "write", "check")


def path_of(route: Route) -> str:
    """The route's path with what it needs to reach the database."""
    path = route.path.format(domainID=1, userID=0, ID=1, username="admin", deviceID="phone", sessionID="x", name="x")
    return f"{path}?domain=1&organization=1&ID=x&query=abc&properties=comment"


def why(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the log has of failures."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


NOTHING_STORED = "The database cannot be used at the moment; try again later"
#: A commit failed, and nobody knows whether it comes to light after a crash.
UNCERTAIN = "The database failed while it stored this; look whether it has, before you try again"


def assert_unavailable(answer: Answer, caplog: pytest.LogCaptureFixture, message: str = NOTHING_STORED) -> None:
    """A 503 without the database's own words, which stand in one line of the log under the answer's ID."""
    assert answer.status == 503, answer.body
    assert answer.body["message"] == message
    (record,) = why(caplog)
    assert answer.body["requestID"] in record.getMessage()
    assert record.exc_info is None
    assert "\n" not in record.getMessage()
    caplog.clear()


def real_error(sql: str) -> sqlite3.Error:
    """What SQLite itself says of a statement."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("PRAGMA query_only = ON").fetchall()
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute(sql)
    return caught.value


@pytest.mark.parametrize(
    ("sql", "status"), [("CREATE TABLE a (b)", 503), ("SELECT 1 FROM nowhere", 500)], ids=["unavailable", "fault"]
)
async def test_every_operation(
    service: Service, admin: Api, domain: int, monkeypatch: pytest.MonkeyPatch, sql: str, status: int
) -> None:
    """Both are an OperationalError, and no operation of the table takes one for the other."""
    fault = real_error(sql)

    async def broken(*_: Any, **__: Any) -> Any:
        raise fault

    bodies = {"PUT": {"new": "a new password"}, "POST": {"user": "admin", "pass": "x", "name": "x"}, "PATCH": {}}
    statuses: dict[str, int] = {}
    with monkeypatch.context() as patch:
        for way in WAYS:
            patch.setattr(Database, way, broken)
        for route in ROUTES:
            answer = await admin.call(route.method, path_of(route), bodies.get(route.method))
            statuses[f"{route.method} {route.path}"] = answer.status
    wrong = {name: found for name, found in statuses.items() if found >= 500 and found != status}
    assert not wrong
    # What never gets to the database is a 400 for its body, or asks nothing of it at all.
    assert sum(found == status for found in statuses.values()) > len(ROUTES) // 2, statuses
    assert statuses["GET /status"] == status
    await admin.get("/status")


async def test_somebody_else_writes(
    start_service: StartService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While another process holds the lock, writes are a 503 and reads go on; then everything does."""
    path = tmp_path / "store.sqlite3"
    service = await start_service(database=str(path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    await service.context.database.write(lambda c: c.execute("PRAGMA busy_timeout = 50").close())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        body = {"username": "jane", "password": "long enough"}
        assert_unavailable(await admin.call("POST", f"/domains/{domain}/users", body), caplog)
        assert (await admin.get(f"/domains/{domain}/users"))["count"] == 0
    await admin.make_user(domain, "jane")


async def test_a_disk_that_refuses(
    start_service: StartService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An I/O error of a commit is a 503 that says so, leaves nothing of the write, and the next one works."""
    service = await start_service(database=str(tmp_path / "store.sqlite3"))
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    body = {"username": "jane", "password": "long enough", "properties": {"comment": "x" * 32_000}}
    with limited_files(10_000):
        assert_unavailable(await admin.call("POST", f"/domains/{domain}/users", body), caplog, UNCERTAIN)
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 0
    await admin.make_user(domain, "jane")


async def test_a_full_disk(service: Service, admin: Api, domain: int, caplog: pytest.LogCaptureFixture) -> None:
    """No room left is a 503 with one line, however many share the transaction."""

    def limit(connection: sqlite3.Connection) -> None:
        (now,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {now}").fetchall()

    await service.context.database.write(limit)
    body = {"username": "jane", "password": "long enough", "properties": {"comment": "x" * 32_000}}
    assert_unavailable(await admin.call("POST", f"/domains/{domain}/users", body), caplog)
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 0


async def test_damaged_pages(start_service: StartService, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pages that are no longer what SQLite has written are a 503 with one line, and the rest goes on."""
    path = tmp_path / "store.sqlite3"
    database = await Database.open(str(path))
    await database.close()
    damage(path, "orgs")
    service = await start_service(database=str(path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    assert_unavailable(await admin.call("GET", "/system/orgs"), caplog)
    # The same again and again is not said again and again.
    for _ in range(50):
        for method, body in (("GET", None), ("POST", {"name": "Acme"})):
            answer = await admin.call(method, "/system/orgs", body)
            assert answer.status == 503
            assert set(answer.body) == {"message"}
    assert why(caplog) == []
    await admin.get("/status")


async def test_a_missing_column_is_a_fault(
    service: Service, admin: Api, domain: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A statement that is wrong is a 500 under whose ID the log has the traceback: waiting does not help."""
    await service.context.database.write(
        lambda c: c.execute("ALTER TABLE orgs RENAME COLUMN description TO gone").close()
    )
    for method, body in (("GET", None), ("POST", {"name": "Acme"})):
        answer = await admin.call(method, "/system/orgs", body)
        assert answer.status == 500
        (record,) = why(caplog)
        assert answer.body["requestID"] in record.getMessage()
        assert "no such column" in caplog.text or "no column named" in caplog.text
        assert "Traceback" in caplog.text
        caplog.clear()


async def test_a_fault_at_the_commit(
    start_service: StartService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same where the transaction itself is what fails: the traceback shows what was wrong."""
    path = tmp_path / "store.sqlite3"
    service = await start_service(database=str(path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    domain = await admin.make_domain("example.org")
    with closing(sqlite3.connect(path)) as other:
        other.execute("ALTER TABLE auth_generation RENAME TO gone")
        answer = await admin.call("PATCH", f"/system/domains/{domain}", {"title": "new"})
        assert answer.status == 500
        assert "no such table: auth_generation" in caplog.text
        other.execute("ALTER TABLE gone RENAME TO auth_generation")
