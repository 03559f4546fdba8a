"""The command: starting, mistakes, stopping."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from postroom.storage.sqlite import sqlite3
from tests.app.test_bytes import CUTS, MALFORMED

POSTROOM = Path(sys.executable).with_name("postroom")


class Running:
    """A `postroom serve` of its own process."""

    #: Descriptors that it gets besides the usual three.
    inherited: Sequence[int] = ()

    def __init__(
        self,
        folder: Path,
        *options: str,
        command: Sequence[str | Path] = (POSTROOM,),
        **environ: str,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, "serve", "--port", "0", *options],
            cwd=folder,
            env={"PATH": os.environ["PATH"], **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=self.inherited,
        )
        self.lines: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("Database:"):
                break
        self.ports = [int(port) for port in re.findall(r"listens on https?://\S+:(\d+) ", "".join(self.lines))]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal and gives back the exit code."""
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=20)
        self.lines += output.splitlines()
        return self.process.returncode


def serving(folder: Path, *options: str, **environ: str) -> contextlib.AbstractContextManager[Running]:
    """Runs the service while the block does."""
    return stopped_at_the_end(Running(folder, *options, **environ))


@contextlib.contextmanager
def stopped_at_the_end(running: Running) -> Iterator[Running]:
    """Ends a service with the block, however that ends."""
    try:
        yield running
    finally:
        running.process.kill()  # nothing, if it has ended already
        if running.process.stdout is not None and not running.process.stdout.closed:
            running.process.communicate()


def fails(folder: Path, *options: str, **environ: str) -> str:
    """The one line with which a start is refused; the exit code has to be 2."""
    result = subprocess.run(
        [POSTROOM, "serve", *options],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 2, result
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("postroom: ")
    return line


def test_the_first_password_without_a_terminal(tmp_path: Path) -> None:
    """It is in a file of its owner alone and in no line; the file goes away with the next password."""
    file = tmp_path / "postroom.sqlite3.password"
    with serving(tmp_path) as running:
        (line,) = [line for line in running.lines if "log in as admin" in line]
        assert str(file) in line
        password = file.read_text().strip()
        assert file.stat().st_mode & 0o777 == 0o600
        assert logs_in(running, password)
        assert running.stop() == 0
        assert password not in "".join(running.lines)
    with serving(tmp_path) as running:
        assert "password" not in "".join(running.lines)
        assert file.exists()
        body = json.dumps({"user": "admin", "old": password, "new": "another one"}).encode()
        url = f"http://127.0.0.1:{running.ports[0]}/api/v1/passwd"
        with urlopen(Request(url, body, {"Content-Type": "application/json"}, method="PUT")) as answer:
            assert answer.status == 200
        wait_until(lambda: not file.exists())
        assert running.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_closed_standard_streams(tmp_path: Path, workers: str) -> None:
    """A starter that leaves all of them closed gets a service as well; nothing else has their numbers."""
    command = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', str(POSTROOM), "serve", "--port", "0", "--workers", workers]
    with subprocess.Popen(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}) as process:
        try:
            wait_until((tmp_path / "postroom.sqlite3.password").exists)
            for number in range(3):
                assert str(Path(f"/proc/{process.pid}/fd/{number}").readlink()) == "/dev/null"
            time.sleep(1)
            assert process.poll() is None
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits until something is so, for as long as a busy machine may take."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_first_password_on_a_terminal(tmp_path: Path) -> None:
    """It is shown once, and in no file."""
    ours, theirs = pty.openpty()
    environ = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [POSTROOM, "serve", "--port", "0"], cwd=tmp_path, env=environ, stdout=theirs, stderr=subprocess.DEVNULL
    ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone with the process
            while b"Database:" not in shown:
                shown += os.read(ours, 4096)
        process.terminate()
    os.close(ours)
    found = re.search(rb"log in as admin with the password (\S+) - it is shown this once", shown)
    assert found
    assert not (tmp_path / "postroom.sqlite3.password").exists()
    assert not [path.name for path in tmp_path.iterdir() if found[1] in path.read_bytes()]


def test_nowhere_to_tell_the_first_password(tmp_path: Path) -> None:
    """In memory and without a terminal one has to be given."""
    assert "POSTROOM_ADMIN_PASSWORD" in fails(tmp_path, "--port", "0", "--database", ":memory:")
    assert list(tmp_path.iterdir()) == []


def logs_in(running: Running, password: str) -> bool:
    """Whether the administrator gets in with that password."""
    body = urlencode({"user": "admin", "pass": password}).encode()
    try:
        with urlopen(f"http://127.0.0.1:{running.ports[0]}/api/v1/login", body) as answer:
            return bool(answer.status == 200)
    except HTTPError as error:
        error.close()
        return False


@pytest.mark.parametrize("turn", range(3))
def test_two_first_starts_at_once(tmp_path: Path, turn: int) -> None:
    """Of services that make one database at the same time one tells a password, and it logs in at each of them."""
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        starts = [pool.submit(Running, tmp_path) for _ in range(3)]
        services = [stack.enter_context(stopped_at_the_end(start.result())) for start in starts]
        lines = [line for running in services for line in running.lines if "password" in line]
        assert len(lines) == 1, lines
        password = (tmp_path / "postroom.sqlite3.password").read_text().strip()
        assert [logs_in(running, password) for running in services] == [True] * 3


@pytest.mark.parametrize("turn", range(3))
def test_first_starts_at_once_with_a_given_password(tmp_path: Path, turn: int) -> None:
    """A password in the environment of one of two first starts counts in the end, whichever of them was first."""
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        starts = [
            pool.submit(Running, tmp_path),
            pool.submit(Running, tmp_path, POSTROOM_ADMIN_PASSWORD="given beforehand"),
        ]
        services = [stack.enter_context(stopped_at_the_end(start.result())) for start in starts]
        assert [logs_in(running, "given beforehand") for running in services] == [True] * 2
        assert not any("password" in line for line in services[1].lines)


def test_listens_on_both_loopbacks(tmp_path: Path) -> None:
    """IPv4 and IPv6 loopback answer on one port, and no other address does."""
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="secret") as running:
        assert len(set(running.ports)) == 1
        for host in ("127.0.0.1", "[::1]"):
            with urlopen(f"http://{host}:{running.ports[0]}/api/v1/status") as answer:
                assert answer.status == 200
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", running.ports[0]), timeout=1)


def test_port_in_use(tmp_path: Path) -> None:
    """A port that somebody has is named, with the way out; no database is made."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = fails(tmp_path, "--port", str(port))
        assert f"127.0.0.1:{port}" in line
        assert "--port" in line
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder(tmp_path: Path) -> None:
    """A database that cannot be made is named with the reason."""
    (tmp_path / "file").touch()
    assert "file/store.sqlite3" in fails(tmp_path, "--port", "0", "--database", "file/store.sqlite3")


def test_database_of_a_newer_version(tmp_path: Path) -> None:
    """A database from the future is refused and left alone."""
    connection = sqlite3.connect(tmp_path / "new.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "newer version" in fails(tmp_path, "--port", "0", "--database", "new.sqlite3")


def test_an_older_database_is_brought_up_to_date(tmp_path: Path) -> None:
    """The start says where the copy of the old database lies, and what was in it is there."""
    script = (Path(__file__).parents[1] / "data" / "schema_0001.sql").read_text("utf-8")
    with contextlib.closing(sqlite3.connect(tmp_path / "postroom.sqlite3")) as connection:
        connection.executescript(script)
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="secret") as running:
        assert "postroom.sqlite3.schema-1.backup" in "".join(running.lines)
        assert (tmp_path / "postroom.sqlite3.schema-1.backup").exists()
        assert logs_in(running, "secret")


@pytest.mark.parametrize(
    ("options", "environ", "named"),
    [
        (["--port", "x"], {}, "--port"),
        (["--host", "no.such.host.invalid"], {}, "no.such.host.invalid"),
        (["--host", "203.0.113.1", "--port", "0"], {}, "203.0.113.1"),
        ([], {"POSTROOM_PORT": "70000"}, "POSTROOM_PORT"),
        ([], {"POSTROOM_TIMEZONE": "Nowhere"}, "POSTROOM_TIMEZONE"),
    ],
)
def test_bad_settings(tmp_path: Path, options: list[str], environ: dict[str, str], named: str) -> None:
    """A bad setting is named in one line."""
    assert named in fails(tmp_path, *options, **environ)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_finish(tmp_path: Path, number: int) -> None:
    """A request that has begun when the signal comes gets its answer; then the database is closed as a whole."""
    with serving(tmp_path, "--database", "store.sqlite3", POSTROOM_ADMIN_PASSWORD="secret") as running:
        body = b'{"user": "admin", "pass": "secret"}'
        with socket.create_connection(("127.0.0.1", running.ports[0])) as client:
            head = f"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body[:10])
            time.sleep(0.3)
            running.process.send_signal(number)
            time.sleep(0.3)
            assert running.process.poll() is None
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", running.ports[0]), timeout=1)
            client.sendall(body[10:])
            answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200"), answer
        output, _ = running.process.communicate(timeout=20)
        assert running.process.returncode == 0
        assert "Traceback" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store.sqlite3", "store.sqlite3.key"]


def test_a_request_that_never_ends_does_not_keep_it(tmp_path: Path) -> None:
    """After the configured time the service stops all the same."""
    settings = {"POSTROOM_ADMIN_PASSWORD": "secret", "POSTROOM_SHUTDOWN_TIMEOUT": "0.5"}
    with (
        serving(tmp_path, **settings) as running,
        socket.create_connection(("127.0.0.1", running.ports[0])) as client,
    ):
        client.sendall(b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        time.sleep(0.2)
        assert running.stop() == 0


def test_password_of_the_environment_is_the_way_back_in(tmp_path: Path) -> None:
    """A password in the environment counts from that start on, whatever was stored before."""
    for password in ("first one", "second one"):
        with serving(tmp_path, POSTROOM_ADMIN_PASSWORD=password) as running:
            body = urlencode({"user": "admin", "pass": password}).encode()
            with urlopen(f"http://127.0.0.1:{running.ports[0]}/api/v1/login", body) as answer:
                assert answer.status == 200
            running.stop()
            assert password not in "".join(running.lines)


def test_garbage_is_answered_without_a_traceback_in_the_log(tmp_path: Path) -> None:
    """What is no HTTP is refused in the one shape, uploads may end anywhere, and the log stays free of both."""
    with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="secret") as running:
        at = ("127.0.0.1", running.ports[0])
        for garbage in MALFORMED.values():
            with socket.create_connection(at, timeout=5) as client:
                client.sendall(garbage)
                with client.makefile("rb") as file:
                    answer = file.read()
                assert answer.startswith(b"HTTP/1.0 400 "), garbage[:100]
                assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"message"}
        for headers, part in CUTS.values():
            with socket.create_connection(at) as client:
                head = "\r\n".join(["POST /api/v1/login HTTP/1.1", "Host: x", *headers, "", ""])
                client.sendall(head.encode() + part)
        for path in ("/docs/static/swagger-ui-bundle.js", "/api/v1/openapi.json"):
            for _ in range(10):
                with socket.create_connection(at) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with urlopen(f"http://127.0.0.1:{running.ports[0]}/api/v1/status") as status:
            assert status.status == 200
        running.stop()
        log = "".join(running.lines)
        assert log.count("POST /api/v1/login: the client has hung up") == len(CUTS)
        assert not [word for word in ("Traceback", "ERROR", "WARNING", "sEcReT") if word in log]


def test_help_has_examples() -> None:
    """--help shows what to type."""
    for arguments in (["--help"], ["serve", "--help"]):
        result = subprocess.run([POSTROOM, *arguments], capture_output=True, text=True, check=True)
        assert "postroom serve" in result.stdout
    assert "--database /var/lib" in result.stdout


def test_version() -> None:
    """--version shows the version and nothing else."""
    result = subprocess.run([POSTROOM, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"postroom \d+\.\d+\.\d+\n", result.stdout)


async def test_access_log(tmp_path: Path) -> None:
    """Asked for, each request is one line without its query; not asked for, there is none."""
    for wanted in ("true", "false"):
        with serving(tmp_path, POSTROOM_ADMIN_PASSWORD="secret", POSTROOM_ACCESS_LOG=wanted) as running:
            url = f"http://127.0.0.1:{running.ports[0]}/api/v1/status?secret=query"
            (await asyncio.to_thread(urlopen, url)).close()
            running.stop()
            logged = [line for line in running.lines if "GET /api/v1/status 200" in line]
            assert len(logged) == (wanted == "true")
            assert "query" not in "".join(running.lines)
