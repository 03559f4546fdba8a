"""postroom key: beside a service that runs, and when the key is lost."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.app.test_cli import POSTROOM, Running, fails, logs_in, serving, wait_until

pytestmark = pytest.mark.attack

CONFIG = {
    "connection": {"server": "ldap://127.0.0.1:9", "bindUser": "cn=x", "bindPass": "bind secret"},
    "baseDn": "dc=x",
    "objectID": "entryUUID",
    "users": {"username": "mail"},
}


def key(folder: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints, in one line; it has to end with that code."""
    result = subprocess.run([POSTROOM, "key", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == code, result
    (line,) = (result.stdout + result.stderr).splitlines()
    return line


def call(running: Running, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    """Status and body of a call to the API."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = Request(f"http://127.0.0.1:{running.ports[0]}/api/v1{path}", data, headers, method=method)
    try:
        with urlopen(request) as answer:  # noqa: S310 - of our own making
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def log_in(running: Running) -> str:
    """A token of the administrator."""
    form = urlencode({"user": "admin", "pass": "secret"}).encode()
    with urlopen(f"http://127.0.0.1:{running.ports[0]}/api/v1/login", form) as answer:
        return str(json.load(answer)["grommunioAuthJwt"])


def test_rotation_beside_a_running_service(tmp_path: Path) -> None:
    """The service reads and stores secrets before and after; logins end only when that is asked for."""
    key_file = tmp_path / "postroom.sqlite3.key"
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="secret") as running:
        token = log_in(running)
        for _ in range(3):
            before = key_file.read_text()
            assert call(running, "PUT", "/system/mconf/ldap?force=true", CONFIG, token)[0] == 200
            assert "new key: 2" in key(tmp_path, "rotate")
            assert key_file.read_text() != before
            # The stored password is kept, so it has been read.
            without = {**CONFIG, "connection": {"server": "ldap://127.0.0.1:9", "bindUser": "cn=x"}}
            assert call(running, "PUT", "/system/mconf/ldap?force=true", without, token)[0] == 200
            assert call(running, "GET", "/profile", token=token)[0] == 200
        key(tmp_path, "rotate", "--tokens")
        wait_until(lambda: call(running, "GET", "/profile", token=token)[0] == 401)
        assert call(running, "GET", "/profile", token=log_in(running))[0] == 200
        assert running.stop() == 0
        assert "Traceback" not in "".join(running.lines)
    with serving(tmp_path) as running:
        assert logs_in(running, "secret")


def test_a_lost_key(tmp_path: Path) -> None:
    """Without it nothing starts and nothing is made; a reset is the way on, and says what has to be given again."""
    key_file = tmp_path / "postroom.sqlite3.key"
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="secret") as running:
        token = log_in(running)
        assert call(running, "PUT", "/system/mconf/ldap?force=true", CONFIG, token)[0] == 200
        running.stop()
    key_file.unlink()
    line = fails(tmp_path, "--port", "0")
    assert "postroom.sqlite3.key is missing" in line
    assert "postroom key reset" in line
    assert "postroom key reset" in key(tmp_path, "rotate", code=2)
    assert not key_file.exists()
    told = key(tmp_path, "reset", "--yes")
    assert "the key that signs tokens" in told
    assert "passwords of directories: 1" in told
    with serving(tmp_path) as running:
        assert call(running, "GET", "/profile", token=token)[0] == 401
        token = log_in(running)
        status, answer = call(running, "GET", "/system/mconf/ldap", token=token)
        assert (status, answer["ldapAvailable"], answer["data"]["baseDn"]) == (200, False, "dc=x")
        without = {**CONFIG, "connection": {"server": "ldap://127.0.0.1:9", "bindUser": "cn=x"}}
        status, answer = call(running, "PUT", "/system/mconf/ldap?force=true", without, token)
        assert status == 400
        assert "connection.bindPass" in str(answer)
        assert call(running, "PUT", "/system/mconf/ldap?force=true", CONFIG, token)[0] == 200
        assert call(running, "PUT", "/system/mconf/ldap?force=true", without, token)[0] == 200


def test_a_reset_asks(tmp_path: Path) -> None:
    """Without an answer nothing is forgotten; without a database there is none to be made."""
    result = subprocess.run(
        [POSTROOM, "key", "reset"], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert result.returncode == 130
    assert "There is no database" in key(tmp_path, "reset", "--yes", code=2)
    assert list(tmp_path.iterdir()) == []


def test_help() -> None:
    """Each command shows what to type."""
    for arguments in ([], ["rotate"], ["reset"]):
        result = subprocess.run([POSTROOM, "key", *arguments, "--help"], capture_output=True, text=True, check=True)
        assert "postroom key r" in result.stdout
