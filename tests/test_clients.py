"""The commands, the script and the two web server configurations of docs/clients.md work unchanged."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.demo import PASSWORD, ROOT, DemoError, Shell, commands, running_postroom

PAGE = (ROOT / "docs" / "clients.md").read_text("utf-8")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running postroom."""
    with running_postroom(tmp_path_factory.mktemp("postroom")) as found:
        yield found


def block(language: str) -> str:
    """The only code block of the page in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def free_port() -> int:
    """A free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_commands_work(url: str, tmp_path: Path) -> None:
    """Every curl command succeeds, in the order of the page, except the one for an unknown user."""
    shell = Shell(tmp_path, API=f"{url}/api/v1")
    answers = [shell.run(command) for _, command in commands(PAGE)]
    assert '"capabilities"' in answers[1]
    assert '"name":"Example House"' in answers[3]
    assert answers[4] == '{"count":0,"data":[]}'
    assert '"maxdevpwfailedattempts"' in answers[5]
    assert "There is no user" in answers[6]
    # The value that the page computes is the one that the login returns.
    assert "csrf" not in shell.state.read_text("utf-8")


def test_script_works(url: str) -> None:
    """The Python script needs no installed package, and lists the domains."""
    result = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", block("python")], env={"API": f"{url}/api/v1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


#: The paths that nginx writes to, instead of those compiled into it.
_NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(config: str, folder: Path) -> Iterator[None]:
    """nginx with the page's server in an otherwise minimal configuration."""
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in _NGINX_FOLDERS)
    # The user that nginx would switch to cannot read the folders of tests.
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{config}\n}}\n"
    )
    command = [_program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with _running(command):
        yield


@contextmanager
def caddy(config: str, folder: Path) -> Iterator[None]:
    """Caddy with the page's site and without its administration port."""
    (folder / "Caddyfile").write_text(f"{{\nadmin off\nauto_https off\nstorage file_system {folder}\n}}\n{config}")
    command = [_program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    with _running(command):
        yield


def _program(name: str) -> str:
    # Not skipped: `make test` installs both.
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/bin")
    assert found, f"{name} is not installed"
    return found


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.parametrize(("language", "server"), [("nginx", nginx), ("caddy", caddy)])
def test_web_server_puts_console_and_api_side_by_side(url: str, tmp_path: Path, language: str, server: object) -> None:
    """Behind each web server the console and the API share an origin, and /service has only one path."""
    (tmp_path / "console").mkdir()
    (tmp_path / "console" / "index.html").write_text("the console")
    port = free_port()
    config = block(language).replace("/var/www/console", str(tmp_path / "console"))
    config = config.replace("127.0.0.1:8080", url.removeprefix("http://")).replace(
        "127.0.0.1:8081", f"127.0.0.1:{port}"
    )
    assert callable(server)
    with server(config, tmp_path):
        origin = f"http://127.0.0.1:{port}"
        assert _fetched(f"{origin}/") == "the console"
        assert _fetched(f"{origin}/1/users/7") == "the console"
        assert '"database":true' in _fetched(f"{origin}/api/v1/status")
        form = urlencode({"user": "admin", "pass": PASSWORD}).encode()
        assert "csrf" in _fetched(f"{origin}/api/v1/login", form)
        with pytest.raises(HTTPError, match="404"):
            _fetched(f"{origin}/config.json")
        (tmp_path / "console" / "config.json").write_text("settings")
        assert _fetched(f"{origin}/config.json") == "settings"
        _check_service(f"{origin}/api/v1", json.loads(_fetched(f"{origin}/api/v1/login", form))["grommunioAuthJwt"])


def _check_service(api: str, token: str) -> None:
    """Only one path of /service is served, with a login; paths that look like it do not reach another operation."""
    default = f"{api}/service/syncPolicy/default"
    assert '"maxdevpwfailedattempts"' in _fetched(default, token=token)
    with pytest.raises(HTTPError, match="401"):
        _fetched(default)
    # Each would succeed if it came through: an unknown name gets the defaults.
    jane = "syncPolicy/jane@example.org"
    for path in (
        f"service/{jane}", f"service/./{jane}", f"x/../service/{jane}", f"service%2f{jane}", f"/service/{jane}",
        f"SERVICE/{jane}", "service/syncPolicy/default/../jane@example.org", "service/syncPolicy/default%2f..%2fjane",
        "service/syncPolicy/default/", "service/syncPolicy/default%00", "service/syncPolicy/DEFAULTS", "service/",
    ):  # fmt: skip
        with pytest.raises(HTTPError, match=r"40[04]"):
            _fetched(f"{api}/{path}", token=token)


def _fetched(address: str, data: bytes | None = None, token: str | None = None) -> str:
    """The body, as soon as the server accepts connections."""
    limit = time.monotonic() + 20
    request = Request(address, data, {"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310 - always http://127.0.0.1
    while True:
        try:
            with urlopen(request, timeout=10) as answer:  # noqa: S310 - always http://127.0.0.1
                return str(answer.read().decode())
        except HTTPError as error:
            error.close()
            raise
        except URLError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


def test_page_is_linked_and_knows_the_ways_to_fail() -> None:
    """The README links to the page, and a command that fails raises DemoError."""
    assert "docs/clients.md" in (ROOT / "README.md").read_text("utf-8")
    with pytest.raises(DemoError):
        Shell(Path("/tmp"), API="x").run("false")  # noqa: S108
