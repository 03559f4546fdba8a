"""`postroom init`: what it makes, what it asks, and that it leaves nothing half-done."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from typer.testing import CliRunner

from postroom.app.cli.init_answers import KINDS
from postroom.app.cli.main import app
from tests.app.test_cli import POSTROOM, serving
from tests.support.slapd import Slapd, config_document

PASSWORD = "a good password"
ALL = ("--config", "p.toml", "--database", "store/p.sqlite3", "--domain", "example.org", "--password-stdin")


def environ_of(_folder: Path) -> dict[str, str]:
    """What counts nothing here, besides the path."""
    return {"PATH": os.environ["PATH"], "POSTROOM_DATABASE": ":memory:", "POSTROOM_KEY_FILE": "/none"}


def init(folder: Path, *options: str, password: str = PASSWORD) -> "subprocess.CompletedProcess[str]":
    """Runs the command without a terminal."""
    return subprocess.run(
        [POSTROOM, "init", *options],
        cwd=folder,
        env=environ_of(folder),
        input=f"{password}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(folder: Path, *options: str, password: str = PASSWORD) -> tuple[int, str]:
    """The exit code and the one line of a command that makes nothing; run in this process, which is faster."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        before = signal.getsignal(signal.SIGTERM)
        result = CliRunner().invoke(app, ["init", *options], input=f"{password}\n", env={"POSTROOM_CONFIG": None})
        signal.signal(signal.SIGTERM, before)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return result.exit_code, line


def files(folder: Path) -> list[str]:
    """What is there, below the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def call(url: str, path: str, token: str | None = None, form: dict[str, str] | None = None) -> Any:
    """The response of a call."""
    body, headers = urlencode(form).encode() if form else None, {"Authorization": f"Bearer {token}"} if token else {}
    with urlopen(Request(f"http://{url}/api/v1{path}", body, headers)) as response:
        return json.load(response)


def converse(folder: Path, answers: Sequence[tuple[str, str | None]]) -> str:
    """Runs the command on a terminal, waits for each question, and answers it unless the answer is None."""
    ours, theirs = pty.openpty()
    command = [str(POSTROOM), "init", "--config", "p.toml", "--database", "p.sqlite3"]
    with subprocess.Popen(
        command, cwd=folder, env=environ_of(folder), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown, seen = b"", b""
        for question, answer in answers:
            while question.encode() not in shown:
                read = os.read(ours, 4096)
                shown, seen = shown + read, seen + read
            shown = shown.partition(question.encode())[2]
            if answer is not None:
                os.write(ours, f"{answer}\n".encode())
        assert process.wait(30) == 0
    os.close(ours)
    return seen.decode()


def test_answers_as_options(tmp_path: Path) -> None:
    """It makes a settings file, a store and its keys for their owner alone; the service starts with them, the
    administrator can log in and has the domain, and the record says what has made it.
    """
    result = init(tmp_path, *ALL, "--no-directory", "--json")
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)["data"]
    assert made["next"] == f"postroom --config {tmp_path}/p.toml serve"
    assert files(tmp_path) == ["p.toml", "store", "store/p.sqlite3", "store/p.sqlite3.key"]
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in files(tmp_path)}
    assert modes == {"p.toml": 0o600, "store": 0o700, "store/p.sqlite3": 0o600, "store/p.sqlite3.key": 0o600}
    assert PASSWORD not in (tmp_path / "p.toml").read_text()
    with serving(tmp_path, "--config", "p.toml") as running:
        assert f"Database: {tmp_path}/store/p.sqlite3" in running.lines[-1]
        url = f"127.0.0.1:{running.ports[0]}"
        token = call(url, "/login", form={"user": "admin", "pass": PASSWORD})["grommunioAuthJwt"]
        (domain,) = call(url, "/system/domains", token)["data"]
        assert (domain["domainname"], domain["maxUser"]) == ("example.org", 1000)
    told = subprocess.run(
        [POSTROOM, "--config", "p.toml", "audit", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "postroom init" in told.stdout


def test_answers_on_a_terminal(tmp_path: Path) -> None:
    """It asks what is missing, again after a wrong answer, and shows no password."""
    answers = [
        ("example.org: ", "nonsense"),
        ("two parts", None),
        ("example.org: ", "exämple.org"),
        ("administrator: ", "short"),
        ("confirmation: ", "short"),
        ("Shorter than 6", None),
        ("administrator: ", PASSWORD),
        ("confirmation: ", PASSWORD),
        ("LDAP directory? [y/N]: ", ""),
        ("Start the service", None),
    ]
    seen = converse(tmp_path, answers)
    assert PASSWORD not in seen
    assert files(tmp_path) == ["p.sqlite3", "p.sqlite3.key", "p.toml"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "There is no terminal to ask on; add --domain, --password-stdin, --directory or --no-directory"),
        (("--domain", "example.org", "--no-directory"), "add --password-stdin"),
        ((*ALL[:-2], "localhost", "--password-stdin", "--no-directory"), "at least two parts"),
        ((*ALL, "--no-directory", "--directory", "x.json"), "exclude each other"),
        ((*ALL, "--directory", "x.json"), "x.json: No such file"),
        ((*ALL, "--directory", "/dev/null"), "/dev/null is not JSON"),
        ((*ALL, "--no-directory", "--ca-file", "ca.pem"), "ca.pem cannot be read"),
        (("--no-directory", "--domain", "a.org", "--password-stdin", "--database", ":memory:"), "only a file"),
        (("--no-directory", "--domain", "a.org", "--password-stdin", "--database", "postgresql://a/b"), "only a file"),
        (
            (*ALL, "--no-directory", "--config", "same", "--database", "same"),
            "same cannot be the settings file as well",
        ),
        ((*ALL, "--no-directory", "--config", "a.key", "--database", "a"), "a.key cannot be the settings file as well"),
        ((*ALL, "--no-directory", "--database", "\x7f"), "cannot be written into a settings file"),
    ],
)
def test_what_is_refused(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    """One line with the reason, exit code 2, and nothing is made."""
    code, line = refused(tmp_path, *options)
    assert code == 2
    assert reason in line
    assert files(tmp_path) == []


def test_a_password_that_is_too_short(tmp_path: Path) -> None:
    """It is refused, and not shown."""
    code, line = refused(tmp_path, *ALL, "--no-directory", password="abc")
    assert (code, "Shorter than 6" in line, "abc" in line) == (2, True, False)
    assert files(tmp_path) == []


@pytest.mark.parametrize("there", ["p.toml", "store/p.sqlite3", "store/p.sqlite3.key", "store/p.sqlite3-wal"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    """Whatever is there already stays, even a link to nowhere."""
    (tmp_path / "store").mkdir()
    (tmp_path / there).symlink_to("nowhere")
    before = files(tmp_path)
    code, line = refused(tmp_path, *ALL, "--no-directory")
    assert (code, f"{there} is there already" in line) == (2, True)
    assert files(tmp_path) == before


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """What was made before goes again."""
    (tmp_path / "file").write_text("")
    options = ("--domain", "example.org", "--password-stdin", "--no-directory", "--database", "store/p.sqlite3")
    code, line = refused(tmp_path, *options, "--config", "file/p.toml")
    assert (code, "Nothing was made" in line) == (2, True)
    assert files(tmp_path) == ["file"]


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    """A directory server."""
    with Slapd() as server:
        yield server


@pytest.mark.slapd
def test_questions_about_a_directory(tmp_path: Path, slapd: Slapd) -> None:
    """Its kind, place and user are asked; the rest follows from the kind."""
    converse(
        tmp_path,
        [
            ("example.org: ", "example.org"),
            ("administrator: ", PASSWORD),
            ("confirmation: ", PASSWORD),
            ("LDAP directory? [y/N]: ", "y"),
            ("389ds): ", "eDirectory"),
            ("Known kinds", None),
            ("389ds): ", "openldap"),
            ("ldaps://ldap.example.org: ", slapd.url),
            ("StartTLS? [Y/n]: ", "n"),
            ("dc=org: ", slapd.people_dn),
            ("none: ", slapd.bind_dn),
            ("password: ", slapd.bind_password),
            ("Start the service", None),
        ],
    )
    assert files(tmp_path) == ["p.sqlite3", "p.sqlite3.key", "p.toml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_makes_it_for_the_user_of_the_service(tmp_path: Path) -> None:
    """The store belongs to the owner of its folder. Settings are root's; that owner's group reads them."""
    (tmp_path / "store").mkdir()
    os.chown(tmp_path / "store", 65534, 65533)
    assert init(tmp_path, *ALL, "--no-directory").returncode == 0
    found = {name: (tmp_path / name).stat() for name in ("p.toml", "store/p.sqlite3", "store/p.sqlite3.key")}
    assert {name: (each.st_uid, each.st_gid, each.st_mode & 0o777) for name, each in found.items()} == {
        "p.toml": (0, 65533, 0o640),
        "store/p.sqlite3": (65534, 65533, 0o600),
        "store/p.sqlite3.key": (65534, 65533, 0o600),
    }


@pytest.mark.slapd
def test_a_directory(tmp_path: Path, slapd: Slapd) -> None:
    """One that answers is stored; one that refuses the bind is named, and nothing is made."""
    document = config_document(slapd)
    (tmp_path / "good.json").write_text(json.dumps(document))
    (tmp_path / "bad.json").write_text(
        json.dumps({**document, "connection": {**document["connection"], "bindPass": "x"}})
    )
    code, line = refused(tmp_path, *ALL, "--directory", "bad.json")
    assert (code, "refuses the bind user or its password" in line) == (2, True)
    assert files(tmp_path) == ["bad.json", "good.json"]
    assert init(tmp_path, *ALL, "--directory", "good.json").returncode == 0
    tested = subprocess.run(
        [POSTROOM, "--config", "p.toml", "ldap", "test"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_half_way(tmp_path: Path, number: signal.Signals) -> None:
    """While it waits for a directory that does not answer, Ctrl+C leaves nothing behind."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        document = {
            **KINDS["OpenLDAP"],
            "connection": {"server": f"ldap://127.0.0.1:{silent.getsockname()[1]}"},
            "baseDn": "dc=example,dc=org",
        }
        (tmp_path / "d.json").write_text(json.dumps(document))
        with subprocess.Popen(
            [POSTROOM, "init", *ALL, "--directory", "d.json"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            process.stdin.write(f"{PASSWORD}\n")
            process.stdin.close()
            connection, _ = silent.accept()
            assert len(files(tmp_path)) > 2
            process.send_signal(number)
            assert process.wait(30) == 130
            assert process.stderr is not None
            assert process.stderr.read() == "postroom: Interrupted. Nothing was made\n"
            connection.close()
    assert files(tmp_path) == ["d.json"]


def test_the_kinds_of_directories_are_those_of_the_documentation() -> None:
    """What init asks nobody for is what docs/directory.md says."""
    text = (Path(__file__).parents[2] / "docs" / "directory.md").read_text("utf-8")
    documented = {}
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        document = json.loads(block)
        if "connection" in document:
            documented[document["users"]["templates"][-1]] = {each: document[each] for each in ("objectID", "users")}
    assert documented == KINDS
