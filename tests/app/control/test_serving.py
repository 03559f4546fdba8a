"""`postroom serve --ephemeral`: how it starts, tells where it is, refuses to start, and ends."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
import requests
from typer.testing import CliRunner

from postroom.app.cli.main import app
from postroom.app.config import read_settings
from postroom.app.control.addresses import check_hosts
from postroom.app.control.ready import Ready
from postroom.app.control.serving import Options, config_of, run
from postroom.app.server.binding import StartError

POSTROOM = Path(sys.executable).with_name("postroom")


@contextmanager
def ephemeral(
    folder: Path, *options: str | Path, pass_fds: tuple[int, ...] = (), stdin: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server of its own process, which ends with the block."""
    with subprocess.Popen(
        [POSTROOM, "serve", "--ephemeral", "--port", "0", *options], cwd=folder, env={"PATH": os.environ["PATH"]},
        pass_fds=pass_fds, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def users_of(ready: dict[str, Any]) -> list[str]:
    """The users of domain 1."""
    head = {"Authorization": f"Bearer {ready['admin']['token']}"}
    answer = requests.get(f"{ready['api']}/domains/1/users", headers=head, timeout=20)
    return [user["username"] for user in answer.json()["data"]]


def test_a_program_is_told_when_requests_are_answered(tmp_path: Path) -> None:
    """By a descriptor and a file, which only its owner may read and which goes with the server; stdout stays empty."""
    seed, file = tmp_path / "seed.json", tmp_path / "ready.json"
    seed.write_text(json.dumps({"users": ["anna"]}))
    file.write_text("of a server before")
    reads, writes = os.pipe()
    with ephemeral(
        tmp_path, "--seed", seed, "--ready-fd", str(writes), "--ready-file", file, pass_fds=(writes,)
    ) as process:
        os.close(writes)
        with os.fdopen(reads, encoding="utf-8") as pipe:
            told = pipe.read()
        ready = json.loads(told)
        assert file.read_text() == told
        assert file.stat().st_mode & 0o777 == 0o600
        assert users_of(ready) == ["anna@example.org"]
        body = {"user": ready["admin"]["user"], "pass": ready["admin"]["password"]}
        assert requests.post(f"{ready['api']}/login", json=body, timeout=20).json()["grommunioAuthJwt"]
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20) == (b"", b"")
        assert process.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed.json"]


def test_it_ends_with_stdin(tmp_path: Path) -> None:
    """Whatever was written there: the program that holds the other end is gone."""
    with ephemeral(tmp_path, "--ready-fd", "1", "--exit-with-stdin", stdin=subprocess.PIPE) as process:
        stdin, stdout = the(process.stdin), the(process.stdout)
        ready = json.loads(stdout.readline())
        stdin.write(b"something\n" * 2)
        stdin.flush()
        assert requests.get(f"{ready['api']}/status", timeout=20).status_code == 200
        stdin.close()
        assert process.wait(timeout=20) == 0


def the(stream: IO[bytes] | None) -> IO[bytes]:
    """A stream that is there."""
    assert stream is not None
    return stream


def test_people_are_told_as_well(tmp_path: Path) -> None:
    """Where it is, how to get in, and that everything goes."""
    with ephemeral(tmp_path) as process:
        lines = iter(the(process.stdout).readline, b"")
        said = b""
        while b"Database: :memory:" not in said:
            said += next(lines)
    assert b"everything is gone" in said
    assert b"listens on http://127.0.0.1:" in said
    assert b"correct horse" in said


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"database": "postroom.sqlite3"}, "--database"),
        ({"database": "postgresql://u@h/n"}, "--database"),
        ({"workers": "2"}, "--workers"),
        ({"service_socket": "socket"}, "--service-socket"),
        ({"host": "203.0.113.1"}, "203.0.113.1"),
        ({"host": "127.0.0.1,0.0.0.0"}, "0.0.0.0"),
        ({"host": "::"}, "--allow-remote-control"),
        ({"host": "no.such.host.invalid"}, "no.such.host.invalid"),
    ],
)
async def test_what_others_could_reach_is_refused(settings: dict[str, str], named: str) -> None:
    """Neither a database that stays, nor an address that is not loopback; the line says what to do."""
    with pytest.raises(StartError) as refused:
        await run(config_of(read_settings(settings, {})), Options(), print)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_source_of_what_is_refused_is_named() -> None:
    """A variable that is set for the service."""
    with pytest.raises(StartError, match=r"leave out POSTROOM_DATABASE$"):
        config_of(read_settings({}, {"POSTROOM_DATABASE": "postgresql://u@h/n"}))


def test_addresses_of_containers_have_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Private ones only: one that the internet can reach is never used, not even among all of the machine."""
    addresses = [psutil._ntuples.snicaddr(socket.AF_INET, "172.17.0.2", None, None, None)]
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": addresses})
    hosts = ("127.0.0.1", "0.0.0.0", "172.17.0.2")
    assert check_hosts(hosts, remote=True) == hosts
    addresses.append(psutil._ntuples.snicaddr(socket.AF_INET, "8.8.8.8", None, None, None))
    for host in ("0.0.0.0", "8.8.8.8"):
        with pytest.raises(StartError, match=r"8\.8\.8\.8"):
            check_hosts((host,), remote=True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--seed", "no.json"], "no.json"),
        (["--ready-fd", "987"], "--ready-fd 987"),
        (["--ready-file", "no/such/folder"], "--ready-file no/such/folder"),
        (["--ready-file", "."], "--ready-file ."),
        (["--host", "0.0.0.0"], "--host"),
        (["--database", "store.sqlite3"], "--database"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], named: str) -> None:
    """It says what is wrong; nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["serve", "--ephemeral", "--port", "0", *options])
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("postroom: ")
    assert named in line
    assert list(tmp_path.iterdir()) == []


def test_every_mistake_of_a_seed_has_its_line(tmp_path: Path) -> None:
    """With the line of the file."""
    seed = tmp_path / "seed.yaml"
    seed.write_text("users:\n  - anna\n  - {username: bert, aliases: [b]}\n  - {usrname: carl}\n")
    result = CliRunner().invoke(app, ["serve", "--ephemeral", "--port", "0", "--seed", str(seed)])
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) > 1
    assert all(line.startswith(f"postroom: {seed}, line ") for line in lines)


def test_a_port_in_use_is_named() -> None:
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", "--ephemeral", "--port", str(port)])
    assert (result.exit_code, result.stderr.count(f"127.0.0.1:{port}")) == (2, 1)
    assert "--port" in result.stderr


@pytest.mark.parametrize(
    "option",
    [
        ["--seed", "s"],
        ["--ready-fd", "0"],
        ["--ready-file", "f"],
        ["--exit-with-stdin"],
        ["--strict"],
        ["--allow-remote-control"],
    ],
)
def test_options_of_tests_need_the_mode(option: list[str]) -> None:
    """A service that keeps its data does not take them for something else."""
    result = CliRunner().invoke(app, ["serve", "--database", "/dev/null/store", *option])
    assert result.exit_code == 2
    assert f"{option[0]} " in result.stderr
    assert "--ephemeral" in result.stderr


def test_a_reader_that_is_gone(tmp_path: Path) -> None:
    """The start fails: nobody would ever use this server."""
    reads, writes = os.pipe()
    os.close(reads)
    with pytest.raises(StartError, match=f"--ready-fd {writes}"):
        Ready(writes, None).tell({})
