"""Where a command works, and with which login."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from postroom.app.cli.places import Local, PlaceError, Remote, api_of, chosen, login_file, read_login, write_login
from tests.support.commands import Command
from tests.support.service import ADMIN_PASSWORD, Api, Service

URL = "https://mail.example.org"


def test_what_decides(tmp_path: Path) -> None:
    """An option before the environment, that before a stored login, and without anything it is the local database."""
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    token = {"POSTROOM_TOKEN": "t", **home}
    there = Remote(f"{URL}/api/v1", "t")
    assert chosen(None, None, home) == Local(None)
    assert chosen(None, "x", {"POSTROOM_URL": URL, **token}) == Local("x")
    assert chosen(URL, None, {"POSTROOM_DATABASE": "x", **token}) == there
    assert chosen(None, None, {"POSTROOM_URL": f"{URL}/", "POSTROOM_DATABASE": "x", **token}) == there
    with pytest.raises(PlaceError, match="no token"):
        chosen(URL, None, home)
    write_login(Remote(f"{URL}/api/v1", "stored"), home)
    assert chosen(None, None, home) == Remote(f"{URL}/api/v1", "stored")
    assert chosen(f"{URL}/api/v1", None, home) == Remote(f"{URL}/api/v1", "stored")
    assert chosen(None, None, token) == there
    assert chosen(None, None, {"POSTROOM_DATABASE": "x", **home}) == Local(None)
    assert chosen(None, None, home, by_file=True) == Local(None)
    with pytest.raises(PlaceError, match="no token"):
        chosen("https://elsewhere.example.org", None, home)
    with pytest.raises(PlaceError, match="no token: those"):
        chosen(URL, None, {"POSTROOM_TOKEN": "a\nb", **home})
    with pytest.raises(PlaceError, match="no token: those"):
        chosen(None, None, {"POSTROOM_TOKEN": "a\nb", **home})


@pytest.mark.parametrize(
    "url", ["", "mail.example.org", "ftp://x", "https://", "http://a b", "http://u:p@x", "http://x?y", "http://[x", "http://x:99999"]
)  # fmt: skip
def test_what_is_no_url(url: str) -> None:
    """It is refused before anything is asked."""
    with pytest.raises(PlaceError, match="Not the URL"):
        api_of(url)


@pytest.mark.parametrize("content", [
        b"", b"[]", b"{}", b'{"url": 1}', b"\xff", b"[" * 100_000, b'{"url": "file:///etc/passwd", "token": "t"}',
        b'{"url": "http://x", "token": "a\\nb"}', b'{"url": "http://x/\\n", "token": "t"}',
    ],
)  # fmt: skip
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    """It is named, and what helps."""
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    login_file(home).parent.mkdir()
    login_file(home).write_bytes(content)
    login_file(home).chmod(0o600)
    with pytest.raises(PlaceError, match="login again"):
        chosen(None, None, home)


def test_several_logins_at_once(tmp_path: Path) -> None:
    """All are stored, one in the place of the other, and whoever reads meanwhile finds a whole one."""
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    places = [Remote(f"{URL}/api/v1", str(number) * 1000) for number in range(8)]
    write_login(places[0], home)
    with ThreadPoolExecutor(4) as threads:
        written = [threads.submit(write_login, place, home) for place in places * 10]
        found = [read_login(home) for _ in range(300)]
        for each in written:
            each.result()
    assert {*found} <= {*places}
    assert [*login_file(home).parent.iterdir()] == [login_file(home)]


async def test_a_login(service: Service, admin: Api, tmp_path: Path) -> None:
    """It is stored for its owner only, commands use it, a file that others can read is refused, and it ends."""
    command = Command(service, "remote", {"XDG_CONFIG_HOME": str(tmp_path)})
    url = service.url
    assert "--password-stdin" in (await command("login", url, code=2)).err
    wrong = await command("login", url, "--password-stdin", given="wrong", code=2)
    assert wrong.err == "postroom: Login failed; Invalid username or password\n"
    file = login_file({"XDG_CONFIG_HOME": str(tmp_path)})
    assert not file.exists()
    done = await command("login", url, "--password-stdin", given=ADMIN_PASSWORD)
    assert done.out == f"admin is logged in at {url}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert ADMIN_PASSWORD not in file.read_text()
    await command("org", "create", "Example Ltd")
    assert (await admin.get("/system/orgs"))["count"] == 1
    before = len((await admin.get("/sessions"))["data"])
    file.chmod(0o640)
    assert f"chmod 600 {file}" in (await command("org", "list", code=2)).err
    file.chmod(0o600)
    assert "is forgotten" in (await command("logout")).out
    assert len((await admin.get("/sessions"))["data"]) == before - 1
    assert not file.exists()
    assert "There is no login" in (await command("logout", code=2)).err
    token = (await admin.post("/tokens", {"name": "x"}))["token"]
    await command("login", url, "--token-stdin", given=token)
    assert json.loads(file.read_text())["token"] == token
    await command("logout")
    assert "no token" in (await command("user", "list", "--url", url, code=2)).err
