"""postroom token: beside a service that runs, and what it refuses."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from postroom.app.auth.api_tokens import hash_of
from postroom.storage.sqlite import sqlite3
from tests.app.test_cli import POSTROOM
from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api


def token(path: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command on a database; it has to end with that code and without a traceback."""
    environ = {"PATH": os.environ["PATH"], "POSTROOM_DATABASE": str(path)}
    command = [str(POSTROOM), "token", *arguments]
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    assert "Traceback" not in done.stdout + done.stderr
    return done


async def test_beside_a_running_service(start_service: StartService, tmp_path: Path) -> None:
    """A token is made, used, listed and revoked while the service runs; its text is printed once and stored nowhere."""
    path = tmp_path / "postroom.sqlite3"
    service = await start_service(database=str(path))
    admin = await service.login("admin", ADMIN_PASSWORD)
    org = (await admin.post("/system/orgs", {"name": "Example Ltd"}))["ID"]
    domain = await admin.make_domain("example.org", orgID=org)
    scope = ("--permission", "DomainAdminRO:example.org", "--permission", "OrgAdmin:Example Ltd")
    networks = ("--network", "127.0.0.1/8", "--network", "::1")
    made = token(path, "create", "nightly", "--owner", "admin", "--read-only", *scope, *networks)
    text = made.stdout.strip()
    assert text.startswith("postroom_")
    api = Api(service, {"Authorization": f"Bearer {text}"})
    await api.get(f"/domains/{domain}/users")
    await api.refused(403, "POST", f"/domains/{domain}/users", {"username": "x"})
    assert text.encode() not in path.read_bytes() + path.with_name(f"{path.name}-wal").read_bytes()
    shown = token(path, "list").stdout
    assert "nightly  admin  DomainAdminRO:1 OrgAdmin:1, reading only  127.0.0.0/8 ::1/128" in shown
    (listed,) = json.loads(token(path, "list", "--json", "--owner", "ADMIN").stdout)["data"]
    assert await admin.get("/tokens") == {"count": 1, "data": [listed]}
    assert "has been revoked" in token(path, "revoke", "1").stdout
    await api.refused(401, "GET", f"/domains/{domain}/users")
    assert "There is no token 1" in token(path, "revoke", "1", code=2).stderr
    # A name that would show what follows it from right to left.
    token(path, "create", "\u202egnirts", "--owner", "admin")
    assert "?gnirts" in token(path, "list").stdout
    assert "?gnirts" in token(path, "revoke", "2").stdout


async def test_without_limits(start_service: StartService, tmp_path: Path) -> None:
    """By default a token has all rights of its owner, everywhere, for a year; --never and --days change that."""
    path = tmp_path / "postroom.sqlite3"
    await start_service(database=str(path))
    made = json.loads(token(path, "create", "all", "--owner", "admin", "--json").stdout)["data"]
    assert (made["permissions"], made["networks"], made["readOnly"]) == (None, [], False)
    never = json.loads(token(path, "create", "x", "--owner", "admin", "--never", "--json").stdout)["data"]
    assert never["expires"] is None
    token(path, "create", "x", "--owner", "admin", "--days", "3650")
    assert "all of its owner  anywhere" in token(path, "list").stdout
    with sqlite3.connect(path) as connection:
        hashes = [row[0] for row in connection.execute("SELECT hash FROM api_tokens ORDER BY id")]
    connection.close()
    assert hashes[0] == hash_of(made["token"])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("create", "x", "--owner", "nobody"), "There is no user 'nobody'"),
        (("create", "x", "--owner", "admin", "--permission", "Everything"), "There is no permission 'Everything'"),
        (
            ("create", "x", "--owner", "admin", "--permission", "DomainAdmin:nowhere.org"),
            "There is no domain nowhere.org",
        ),
        (("create", "x", "--owner", "admin", "--permission", "OrgAdmin:nobody"), "There is no organisation nobody"),
        (("create", "x", "--owner", "admin", "--permission", "DomainAdmin"), "needs the ID of one domain"),
        (("create", "x", "--owner", "admin", "--network", "here"), "Not a network"),
        (("create", "x", "--owner", "admin", "--days", "0"), "--days"),
        (("create", "x", "--owner", "admin", "--days", "3", "--never"), "--days or --never"),
        (("create", "", "--owner", "admin"), "name"),
        (("list", "--owner", "nobody"), "There is no user 'nobody'"),
        (("revoke", "x"), "x"),
    ],
)
async def test_what_is_refused(
    start_service: StartService, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    """One line with the reason, exit code 2, and nothing is stored."""
    path = tmp_path / "postroom.sqlite3"
    service = await start_service(database=str(path))
    assert reason in token(path, *arguments, code=2).stderr
    assert await service.context.database.fetch_value("SELECT count(*) FROM api_tokens") == 0


def test_there_is_no_database(tmp_path: Path) -> None:
    """None is made."""
    assert "There is no database" in token(tmp_path / "none.sqlite3", "list", code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_help() -> None:
    """Each command shows what to type."""
    for arguments in ([], ["create"], ["list"], ["revoke"]):
        done = subprocess.run([POSTROOM, "token", *arguments, "--help"], capture_output=True, text=True, check=True)
        assert "postroom token" in done.stdout
        assert "Examples" in done.stdout
