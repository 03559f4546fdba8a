"""docs/upgrading.md is true: its commands work in their order, and lead back again."""

import re
import sys
from pathlib import Path

from postroom.app.cli import migrate
from tests.app.test_migrate_cli import LATEST, contents
from tests.demo import ROOT, Shell, commands
from tests.storage.test_newer_schemas import version
from tests.support.kept_schemas import Kept

PAGE = (ROOT / "docs" / "upgrading.md").read_text("utf-8")
HOME = "/var/lib/postroom"


def test_commands_work(tmp_path: Path) -> None:
    """Looking changes nothing, the upgrade leaves the copy that the page names, and the way back leads to it."""
    file = tmp_path / "postroom.sqlite3"
    Kept("sqlite", 11).put_file(file)
    before, shell = contents(file), Shell(tmp_path)
    there, look, upgrade, copies, back = (command.replace(HOME, str(tmp_path)) for _, command in commands(PAGE))

    def run(command: str) -> str:
        return shell.run(f"{there}\nPATH={Path(sys.executable).parent}:$PATH\n{command}")

    assert "0012_display_types.sql" in run(f"{look} || test $? = 1")
    assert version(str(file)) == 11
    assert f"from schema 11 to {LATEST}" in run(upgrade)
    assert version(str(file)) == LATEST
    assert run(copies) == "postroom.sqlite3.schema-11.backup"
    run(back)
    assert (version(str(file)), contents(file)) == (11, before)
    assert version(str(tmp_path / "newer" / "postroom.sqlite3")) == LATEST


def test_exit_codes() -> None:
    """The page and --help list the same."""
    listed = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]
    assert listed == [int(code) for code in re.findall(r"^  (\d+) ", migrate.HELP, re.MULTILINE)] == [0, 1, 2, 3, 130]
