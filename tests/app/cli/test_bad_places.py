"""Tokens without the right, services that are away, missing databases, bugs: one line, never a traceback."""

import asyncio
import logging
import os
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from postroom.app.cli import places
from postroom.app.cli.main import app
from postroom.app.routes import BASE
from postroom.storage.sqlite import sqlite3
from tests.support.commands import Command, ran
from tests.support.service import Api, Service

REMOTE = {"POSTROOM_URL": "http://127.0.0.1:9", "POSTROOM_TOKEN": "t"}


async def test_a_token_without_the_right(service: Service, admin: Api) -> None:
    """It sees what it may see, is refused the rest with the reason, and is refused all when it is revoked."""
    first, second = await admin.make_domain("example.org"), await admin.make_domain("example.net")
    for domain, name in ((first, "anna"), (second, "paul")):
        await admin.make_user(domain, name)
    scope = [{"permission": "DomainAdminRO", "params": first}]
    token = await admin.post("/tokens", {"name": "reader", "permissions": scope})
    command = Command(service, "remote", {"POSTROOM_URL": service.url, "POSTROOM_TOKEN": token["token"]})
    assert [user["username"] for user in (await command("user", "list", "--json")).data] == ["anna@example.org"]
    assert "anna" in (await command("user", "show", "anna@example.org")).out
    refused = await command("user", "suspend", "anna@example.org", code=2)
    assert "does not have the permission" in refused.err
    assert "There is no domain 'example.net'" in (await command("user", "show", "paul@example.net", code=2)).err
    assert "permission" in (await command("role", "list", code=2)).err
    await admin.call("DELETE", f"/tokens/{token['ID']}")
    ended = await command("user", "suspend", "anna@example.org", "b@example.org", code=2)
    assert "login again" in ended.err
    assert "0 of 2 done" in ended.err


def test_a_service_that_is_away() -> None:
    """Code 3: trying again may help. What is not postroom is code 2."""
    away = ran("user", "list", "--json", environ=REMOTE)
    assert away.code == 3
    assert "cannot be reached" in away.err
    assert away.document["data"] is None
    several = ran("user", "suspend", "a@example.org", "b@example.org", "--json", environ=REMOTE)
    assert several.code == 3
    assert several.data == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        hung_up = {**REMOTE, "POSTROOM_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        server.settimeout(10)

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert ran("user", "list", environ=hung_up).code == 3
        thread.join()


@asynccontextmanager
async def responding(response: Mapping[str, Any]) -> AsyncIterator[Mapping[str, str]]:
    """The environment of commands at a service that responds with this to everything."""

    async def respond(_request: web.Request) -> web.Response:
        return web.Response(**response)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    async with TestServer(app) as server:
        yield {"POSTROOM_URL": str(server.make_url("/")), "POSTROOM_TOKEN": "t"}


async def test_what_is_not_postroom() -> None:
    """A page is named as such."""
    async with responding({"text": "<html>", "content_type": "text/html"}) as environ:
        done = await asyncio.to_thread(ran, "user", "list", environ=environ)
    assert (done.code, "is not postroom (status 200)" in done.err) == (2, True)


@pytest.mark.parametrize("document", ["{}", "[]", '{"data": null}', '{"data": [7]}', '{"data": [{}], "count": 1}'])
async def test_what_no_command_knows(document: str, tmp_path: Path) -> None:
    """JSON of another kind is no bug of the command, whose own line is named nevertheless."""
    async with responding({"text": document, "content_type": "application/json"}) as environ:
        for command in (
            ["user", "list"], ["domain", "list"], ["role", "list"], ["task", "list"], ["user", "show", "a@b.example"],
            ["login", environ["POSTROOM_URL"], "--token-stdin"],
        ):  # fmt: skip
            home = {**environ, "XDG_CONFIG_HOME": str(tmp_path)}
            done = await asyncio.to_thread(ran, *command, given="t\n", environ=home)
            assert done.code == 2, done
            assert "with something else than this command knows" in done.err
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


def test_a_database_that_is_missing(tmp_path: Path) -> None:
    """None is made, and the message says what helps."""
    path = tmp_path / "none.sqlite3"
    missing = ran("user", "list", "--database", str(path))
    assert missing.code == 2
    assert "postroom init" in missing.err
    assert not path.exists()
    damaged = tmp_path / "damaged.sqlite3"
    damaged.write_text("no database at all, but long enough to be looked at" * 100)
    assert ran("user", "list", "--database", str(damaged)).code in (2, 3)


@pytest.mark.sqlite
async def test_a_long_path_for_temporary_files(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket cannot have it, and a command on the local database does not need it."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    await (await Command.at(service, "local"))("org", "list")


async def test_a_locked_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program that holds the lock for long is code 3, and nothing is stored."""
    monkeypatch.setattr("postroom.storage.connections.BUSY_TIMEOUT", 0.1)
    path = service.context.config.database
    command = Command(service, "local", {"POSTROOM_DATABASE": path})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        refused = await command("org", "create", "X", code=3)
        assert "trying again" in refused.err or "try again" in refused.err
    finally:
        other.close()


async def test_a_bug(command: Command, admin: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code 70 and the place of it, without a traceback."""

    async def broken(*_args: Any, **_options: Any) -> bytes:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("postroom.app.handlers.orgs.select_orgs", broken)
        failed = await command("org", "list", code=70)
    assert ("ZeroDivisionError at " if command.where == "local" else "An internal error") in failed.err
    monkeypatch.setattr("postroom.app.cli.tables.show_rows", _broken_table)
    assert "ZeroDivisionError at " in (await command("org", "list", code=70)).err


def _broken_table(*_args: Any) -> None:
    """Fails."""
    raise ZeroDivisionError


def test_the_base_path() -> None:
    """The commands know it without importing the application."""
    assert places._API == BASE


def test_the_log_of_the_process_is_given_back(tmp_path: Path) -> None:
    """A command inside another program takes the log only for as long as it runs."""
    before = list(logging.root.handlers)
    for line in (["ldap", "test"], ["user", "list"]):
        result = CliRunner().invoke(app, [*line, "--database", str(tmp_path / "missing.sqlite3")])
        assert result.exit_code != 0
        assert logging.root.handlers == before
