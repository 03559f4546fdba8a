"""The examples of docs/moving-in.md are read as they stand there."""

import asyncio
import re
from pathlib import Path

import pytest

from postroom.storage.auth import ensure_administrator
from postroom.storage.database import Database
from tests.demo import ROOT
from tests.support.commands import ran

PAGE = (ROOT / "docs" / "moving-in.md").read_text("utf-8")

pytestmark = pytest.mark.sqlite


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines and the table are stored; exported and imported elsewhere, they are the same."""
    lines, table = (re.findall(rf"```{form}\n(.*?)```", PAGE, re.DOTALL) for form in ("json", "csv"))
    monkeypatch.chdir(tmp_path)
    for name in ("postroom.sqlite3", "second.sqlite3"):
        asyncio.run(_make(name))
    Path("people.ndjson").write_text(lines[0].replace("…", "0" * 64))
    Path("staff.csv").write_text(table[0])
    for file in ("people.ndjson", "staff.csv"):
        done = ran("import", file)
        assert done.code == 0, done
    assert ran("export", "--format", "csv", "people", "--secrets").code == 0
    assert ran("import", "people", "--database", "second.sqlite3").code == 0
    first, second = (
        ran("export", "--secrets", "--database", name).out for name in ("postroom.sqlite3", "second.sqlite3")
    )
    assert first == second
    assert first.count('"user"') == 4


async def _make(name: str) -> None:
    database = await Database.open(name)
    await database.write(ensure_administrator, None)
    await database.close()
