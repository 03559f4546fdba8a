"""The Unix socket for /service: who gets in, and what becomes of the file at starts, stops and crashes."""

import grp
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from postroom.app.config import SettingError, load_config
from postroom.app.server.service_socket import ServiceSocket, ServiceSocketError
from tests.app.test_cli import Running, fails, serving
from tests.test_clients import nginx

POLICY = "/api/v1/service/syncPolicy/x"
#: Nobody is trusted by address, so that the socket alone can be the reason.
SETTINGS = {"POSTROOM_ADMIN_PASSWORD": "secret", "POSTROOM_SERVICE_NETWORKS": "none", "POSTROOM_SERVICE_SOCKET": "door"}


def curl(*arguments: str) -> int:
    """The status that curl is answered, 0 when there is nobody."""
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def over(path: Path, target: str = POLICY, *arguments: str) -> int:
    """The same over a socket."""
    return curl("--unix-socket", str(path), f"http://localhost{target}", *arguments)


def test_the_socket_needs_no_login_for_service_alone(tmp_path: Path) -> None:
    """Over the socket /service is open, whatever a request looks like; all else needs a login as ever."""
    with serving(tmp_path, **SETTINGS) as running:
        door, port = tmp_path / "door", running.ports[0]
        assert any("door" in line for line in running.lines)
        assert over(door) == 200
        assert over(door, POLICY, "-H", "Host: anything.example", "-H", "X-Forwarded-For: 192.0.2.1") == 200
        assert over(door, POLICY, "--http1.0") == 200
        for path in ("/api/v1/domains", "/api/v1/system/domains", "/api/v1/profile", "/api/v1/tasq/tasks"):
            assert over(door, path) == 401
        assert over(door, "/api/v1/status") == 200
        # By address it is refused, whatever the request says of a socket.
        assert curl(f"http://127.0.0.1:{port}{POLICY}") == 401
        assert curl(f"http://127.0.0.1:{port}{POLICY}", "-H", f"Host: unix:{door}") == 401
        assert running.stop() == 0
        assert not door.exists()


def test_a_proxy_to_the_socket_is_let_in_by_its_rights(tmp_path: Path) -> None:
    """A real nginx that may open the file is served: the file decides, so nobody else may be given it."""
    with serving(tmp_path, **SETTINGS):
        config = f"server {{ listen unix:{tmp_path}/front; location / {{ proxy_pass http://unix:{tmp_path}/door; }} }}"
        (tmp_path / "nginx").mkdir()
        with nginx(config, tmp_path / "nginx"):
            _wait_for(tmp_path / "front")
            assert over(tmp_path / "front") == 200


def test_the_file_is_the_owner_s_alone_or_a_group_s(tmp_path: Path) -> None:
    """Without a group nobody else may open the socket; with one, its members may, and still nobody else."""
    group = grp.getgrgid(os.getgid())
    for given, mode in (({}, 0o600), ({"POSTROOM_SERVICE_SOCKET_GROUP": group.gr_name}, 0o660)):
        with serving(tmp_path, **SETTINGS, **given):
            found = (tmp_path / "door").lstat()
            assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, group.gr_gid)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_somebody_else_cannot_open_it(tmp_path: Path) -> None:
    """Another user of this machine is refused by the system."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.owner() == "root" and parent != Path("/tmp"):  # noqa: S108
            parent.chmod(parent.stat().st_mode | 0o011)
    opened = ServiceSocket.open(str(tmp_path / "door"), None)
    program = "import os, socket, sys; os.setuid(65534); socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    try:
        result = subprocess.run(
            ["/usr/bin/python3", "-c", program, str(opened.path)], capture_output=True, text=True, check=False
        )
        assert "PermissionError" in result.stderr
    finally:
        opened.close()


def test_what_a_crash_has_left_is_replaced(tmp_path: Path) -> None:
    """After a kill the file is still there, and the next start takes its place."""
    with serving(tmp_path, **SETTINGS) as running:
        running.stop(signal.SIGKILL)
    left = (tmp_path / "door").lstat()
    assert over(tmp_path / "door") == 0
    with serving(tmp_path, **SETTINGS) as running:
        assert (tmp_path / "door").lstat().st_mtime_ns != left.st_mtime_ns
        assert over(tmp_path / "door") == 200
        running.stop()
    assert not (tmp_path / "door").exists()


def test_a_socket_of_another_process_is_left_alone(tmp_path: Path) -> None:
    """A second start is refused with one line that names the socket, and the first goes on."""
    with serving(tmp_path, **SETTINGS):
        line = fails(tmp_path, "--port", "0", "--database", "second.sqlite3", **SETTINGS)
        assert "door: another process does" in line
        assert not (tmp_path / "second.sqlite3").exists()
        assert over(tmp_path / "door") == 200


def test_a_socket_that_is_too_busy_is_left_alone(tmp_path: Path) -> None:
    """A process that does not take its connections is there all the same."""
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(tmp_path / "door"))
        busy.listen(0)
        first.connect(str(tmp_path / "door"))
        with pytest.raises(ServiceSocketError, match="another process does"):
            ServiceSocket.open(str(tmp_path / "door"), None)
        assert (tmp_path / "door").exists()


def _link(path: Path) -> None:
    path.with_name("kept").write_text("kept")
    path.symlink_to(path.with_name("kept"))


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("kept"), Path.mkdir, _link, lambda path: os.mkfifo(path)]
)
def test_what_is_no_socket_is_never_removed(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A file, a folder, a link, a pipe: the start is refused, and it is there as before."""
    make(tmp_path / "door")
    before = (tmp_path / "door").lstat()
    assert "is not a socket" in fails(tmp_path, "--port", "0", **SETTINGS)
    assert (tmp_path / "door").lstat() == before


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"POSTROOM_SERVICE_SOCKET": "no/such/folder/door"}, "no/such/folder/door"),
        ({"POSTROOM_SERVICE_SOCKET": "x" * 108}, "POSTROOM_SERVICE_SOCKET"),
        (
            {"POSTROOM_SERVICE_SOCKET": "door", "POSTROOM_SERVICE_SOCKET_GROUP": "no-such"},
            "POSTROOM_SERVICE_SOCKET_GROUP",
        ),
    ],
)
def test_sockets_that_cannot_be(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    """What cannot be listened on is one line at the start."""
    assert named in fails(tmp_path, "--port", "0", **settings)


def test_the_longest_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest path that is taken can be listened on."""
    monkeypatch.chdir(tmp_path)
    opened = ServiceSocket.open(load_config(environ={"POSTROOM_SERVICE_SOCKET": "x" * 107}).service_socket or "", None)
    opened.close()
    with pytest.raises(SettingError):
        load_config(environ={"POSTROOM_SERVICE_SOCKET": "x" * 108})


def test_a_file_that_is_another_s_by_now_is_not_removed(tmp_path: Path) -> None:
    """Who has replaced the file keeps it when the first one ends, also when asked twice."""
    first = ServiceSocket.open(str(tmp_path / "door"), None)
    (tmp_path / "door").unlink()
    second = ServiceSocket.open(str(tmp_path / "door"), None)
    first.remove()
    first.close()
    assert (tmp_path / "door").is_socket()
    second.close()
    assert not (tmp_path / "door").exists()


@contextmanager
def left_over(path: Path) -> Iterator[None]:
    """A socket file on which nobody listens."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    yield


@pytest.mark.parametrize("turn", range(5))
def test_two_at_once_for_one_left_over(tmp_path: Path, turn: int) -> None:
    """Of those that find the same left-over at the same time one has it in the end, and the others know."""

    def open_it(_number: int) -> ServiceSocket | None:
        try:
            return ServiceSocket.open(str(tmp_path / "door"), None)
        except ServiceSocketError:
            return None

    with left_over(tmp_path / "door"), ThreadPoolExecutor(8) as pool:
        opened = [found for found in pool.map(open_it, range(8)) if found is not None]
    assert len(opened) == 1
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))
    opened[0].close()


def test_requests_under_way_over_the_socket_finish(tmp_path: Path) -> None:
    """A request that has begun over the socket when the signal comes gets its answer; nobody new comes in."""
    with serving(tmp_path, **SETTINGS) as running, socket.socket(socket.AF_UNIX) as client:
        body = b'{"user": "admin", "pass": "secret"}'
        client.connect(str(tmp_path / "door"))
        head = f"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body[:10])
        assert over(tmp_path / "door") == 200
        running.process.send_signal(signal.SIGTERM)
        _wait_until_gone(tmp_path / "door", running)
        client.sendall(body[10:])
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def _wait_for(path: Path) -> None:
    for _ in range(500):
        if over(path, "/api/v1/status") == 200:
            return
        time.sleep(0.02)
    raise AssertionError("nobody listens")


def _wait_until_gone(path: Path, running: Running) -> None:
    for _ in range(500):
        if not path.exists():
            return
        assert running.process.poll() is None
        time.sleep(0.02)
    raise AssertionError("the file is still there")
