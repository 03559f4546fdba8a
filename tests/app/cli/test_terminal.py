"""At terminals of all kinds: narrow, without colours, without UTF-8; pipes that close, Ctrl+C, questions."""

import asyncio
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from postroom.storage.database import Database
from tests.app.test_cli import POSTROOM
from tests.support.commands import ran

PASSWORD = "a good password"
#: With a character that turns the direction of text.
NAME = "Änne Straßenbauer-Übermüller \u202e 你好"


async def _make_database(path: Path) -> None:
    await (await Database.open(str(path))).close()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with example.org and two users with long names."""
    path = tmp_path / "postroom.sqlite3"
    asyncio.run(_make_database(path))
    for line in (
        ("domain", "create", "example.org", "--max-users", "1000"),
        ("user", "create", "anna@example.org", "--shared", "--name", NAME),
        ("user", "create", "a.very.long.name.of.a.user@example.org", "--shared", "--name", "Nobody"),
    ):  # fmt: skip
        assert ran(*line, "--database", str(path)).code == 0
    return path


def at_terminal(
    database: Path, *arguments: str, columns: int = 80, answer: bytes = b"", **environ: str
) -> tuple[int, str]:
    """(exit code, everything that a terminal got) of a command at one with so many columns."""
    mine, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = {"PATH": os.environ["PATH"], "TERM": "xterm", "POSTROOM_DATABASE": str(database), **environ}
    # As the terminal that controls the command, so that Ctrl+C reaches it.
    command = ["setsid", "--ctty", "--wait", str(POSTROOM), *arguments]
    process = subprocess.Popen(command, env=shown, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    got = b""
    while True:
        # Ctrl+C just before the command begins to wait for input is noticed by the next key, as people press it again.
        if not select.select([mine], [], [], 3.0)[0] and answer == b"\x03":
            os.write(mine, answer)
        try:
            piece = os.read(mine, 10_000)
        except OSError:  # the other end has closed
            break
        got += piece
        if answer and got.endswith((b"]: ", b": ")):
            os.write(mine, answer)
    os.close(mine)
    text = got.decode("utf-8", "replace")
    assert "Traceback" not in text
    return process.wait(20), text


def test_forty_columns(database: Path) -> None:
    """Each row becomes a block, no line is too long, and nothing in it is for the terminal."""
    code, text = at_terminal(database, "user", "list", columns=40, NO_COLOR="1", LC_ALL="C.UTF-8")
    assert code == 0
    lines = re.sub("\x1b\\[[01]m|\r", "", text).splitlines()  # bold is no colour
    assert max(map(len, lines)) <= 40
    assert "ADDRESS    anna@example.org" in map(str.rstrip, lines)
    assert "Änne Straßenbauer-Übermüller" in text
    for character in ("\x1b[3", "\x1b[9", "\u202e"):
        assert character not in text


def test_without_utf_8(database: Path) -> None:
    """What the terminal cannot show is a question mark."""
    code, text = at_terminal(database, "user", "show", "anna@example.org", LC_ALL="C", PYTHONUTF8="0",
                             PYTHONCOERCECLOCALE="0")  # fmt: skip
    assert code == 0
    assert text.isascii()
    assert "?nne Stra?enbauer" in text


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 130), (b"y\n", 0), (b"\x03", 130), (b"\x04", 130)])
def test_a_question(database: Path, answer: bytes, code: int) -> None:
    """No, Ctrl+C and Ctrl+D leave everything as it is."""
    ended, text = at_terminal(database, "user", "delete", "anna@example.org", answer=answer)
    assert ended == code
    assert "Delete anna@example.org" in text
    assert (ran("user", "show", "anna@example.org", "--database", str(database)).code == 0) == (code != 0)


@pytest.mark.parametrize(("answer", "code"), [(f"{PASSWORD}\n".encode(), 0), (b"\x03", 130), (b"\x04", 130)])
def test_a_password(database: Path, answer: bytes, code: int) -> None:
    """It is asked for twice and not shown."""
    ended, text = at_terminal(database, "user", "create", "paul@example.org", answer=answer)
    assert ended == code
    assert PASSWORD not in text
    assert (ran("user", "show", "paul@example.org", "--database", str(database)).code == 0) == (code == 0)


@pytest.mark.parametrize(
    "arguments", [("user", "list"), ("user", "list", "--json"), ("user", "set", "--lang", "de", "-")]
)
def test_a_pipe_that_closes_early(database: Path, arguments: tuple[str, ...]) -> None:
    """The command ends without a word."""
    process = _piped(database, *arguments)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(b"anna@example.org\n")
    assert b"Traceback" not in err
    assert b"Exception" not in err
    assert process.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(database: Path, number: int) -> None:
    """What is done is done as a whole and counted; the rest is not begun."""
    names = [f"user{each}@example.org" for each in range(300)]
    for name in names[:3]:
        assert ran("user", "create", name, "--shared", "--database", str(database)).code == 0
    wanted = "\n".join([*names[:3], *names]) * 200
    process = _piped(database, "user", "set", "--lang", "de", "-")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(wanted.encode())
    process.stdin.close()
    process.stdin = None
    assert process.stdout.readline() == b"user0@example.org has been changed\n"
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == 130
    assert b"Interrupted. Before that: " in err
    assert b"Traceback" not in err


def _piped(database: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environ = {"PATH": os.environ["PATH"], "POSTROOM_DATABASE": str(database), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [POSTROOM, *arguments], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["postroom", "user", "s"], {"show", "set", "suspend"}),
        (["postroom", "rol"], {"role"}),
        (["postroom", "user", "list", "--st"], {"--status"}),
    ],
)
def test_completion_in_bash(words: list[str], found: set[str]) -> None:
    """Commands and options are completed."""
    script = (
        "source <(_POSTROOM_COMPLETE=source_bash postroom); "
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        '_postroom_completion postroom; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == found


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_elsewhere(shell: str) -> None:
    """Other shells get a script of their own."""
    assert "_POSTROOM_COMPLETE" in ran(environ={"_POSTROOM_COMPLETE": f"source_{shell}"}).out
