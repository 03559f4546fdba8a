"""docs/cli.md and the help: each command has its place there and an example, and the examples of the page work."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from postroom.app.cli.main import app
from postroom.storage.database import Database
from tests.demo import ROOT
from tests.support.commands import ran

PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")


def _commands() -> Iterator[tuple[tuple[str, ...], str]]:
    """(words, help) of all commands."""
    for command in app.registered_commands:
        yield (str(command.name or command.callback.__name__),), str(command.help)  # type: ignore[union-attr]
    for group in app.registered_groups:
        inside = group.typer_instance
        assert isinstance(inside, typer.Typer)
        for command in inside.registered_commands:
            yield (str(inside.info.name), str(command.name)), str(command.help)


def test_each_command_has_an_example() -> None:
    """The help of each command shows what to type, with its exit codes where they are not those of its group."""
    for words, text in _commands():
        assert f"  postroom {' '.join(words)}" in text, words


def test_each_command_has_its_place() -> None:
    """The table of the page has each command, and no other."""
    named: set[tuple[str, ...]] = set()
    for name, row in re.findall(r"^\| `postroom ([a-z]+)` \| (.*) \|$", PAGE, re.MULTILINE):
        inside = re.findall(r"`([a-z-]+)`", row)
        named |= {(name, each) for each in inside} if inside else {(name,)}
    assert named == {words for words, _ in _commands()}


async def _make_database(path: Path) -> None:
    await (await Database.open(str(path))).close()


def test_the_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each ends with code 0, and prints what stands below it, if anything does."""
    asyncio.run(_make_database(tmp_path / "postroom.sqlite3"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    Path("password.txt").write_text("a good password\n")
    examples = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command, shown in re.findall(r"^\$ postroom (.*)\n((?:(?!\$).*\n)*)", "".join(examples), re.MULTILINE):
        line, _, given = command.partition(" <")
        result = ran(*shlex.split(line), given=Path(given).read_text() if given else "")
        assert result.code == 0, result
        if shown:
            assert [row.rstrip() for row in result.out.splitlines()] == shown.splitlines()
