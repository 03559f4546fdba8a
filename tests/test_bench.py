"""The benchmark shows and writes what it has measured, whatever breaks."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3
from tests.bench import __main__ as bench
from tests.bench.bench import Measurements, Run
from tests.bench.page import BEGIN, END, write_table
from tests.bench.results import Point, Report, Result, read_report
from tests.bench.stores import kept_store, make_store

GOOD = Result(name="read", what="one user", unit="/s", measured=2.0)


def breaks() -> Result:
    """A measurement in which something went wrong that nobody has thought of."""
    raise sqlite3.OperationalError("index users_by_name already exists")


def measuring(*measurements: tuple[str, Callable[[], Result]]) -> Callable[[Run], Measurements]:
    """A section with these measurements."""
    return lambda _run: iter(measurements)


def then_break(_run: Run) -> Measurements:
    """Breaks between two measurements, where a server is started."""
    yield "something else", lambda: GOOD
    raise RuntimeError("slapd did not start: its configuration is wrong")


def never(_run: Run) -> Measurements:
    """Breaks before its first measurement."""
    raise RuntimeError("slapd did not start: its configuration is wrong")


GOOD_SECTION = bench.Section("throughput", ["read"], measuring(("read", lambda: GOOD)), stored=False)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (bench.Section("other", ["list"], measuring(("list", breaks)), stored=False), "list: OperationalError: index"),
        (bench.Section("other", ["list"], never, stored=False), "other: RuntimeError: slapd did not start"),
        (bench.Section("other", ["list"], then_break, stored=False), "other: RuntimeError: slapd did not start"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_measured_stays(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    section: bench.Section,
    reason: str,
    first: bool,
) -> None:
    """Before or after the one that breaks; the reason is told, and the exit code is 1."""
    monkeypatch.setattr(bench, "SECTIONS", [section, GOOD_SECTION] if first else [GOOD_SECTION, section])
    monkeypatch.setattr(bench, "check_wrk", lambda: None)
    written = tmp_path / "new folder" / "bench.json"
    with pytest.raises(typer.Exit) as caught:
        bench.main(json=written)
    assert caught.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "one user" in shown
    assert reason in shown
    document = json.loads(written.read_text("utf-8"))
    assert [row["what"] for row in document["results"]] == ["one user"]
    assert document["broken"][0].startswith(reason)


def test_a_run_that_is_stopped_leaves_its_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is measured is written before the next measurement begins."""
    written = tmp_path / "bench.json"

    def stopped() -> Result:
        assert json.loads(written.read_text("utf-8"))["results"]
        raise KeyboardInterrupt

    stopping = bench.Section("other", ["list"], measuring(("list", stopped)), stored=False)
    monkeypatch.setattr(bench, "SECTIONS", [GOOD_SECTION, stopping])
    monkeypatch.setattr(bench, "check_wrk", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        bench.main(json=written)
    assert json.loads(written.read_text("utf-8"))["results"]


def test_only_known_names_are_measured() -> None:
    """A name that nothing has is an error of the command line."""
    with pytest.raises(typer.BadParameter, match="'reed' is none of"):
        bench.main(only=["reed"])


def opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    """The database, until the end of the block."""
    return contextlib.closing(sqlite3.connect(path))


def rules(path: Path) -> list[tuple[str, str]]:
    """All tables, indexes and triggers of a database."""
    with opened(path) as connection:
        return connection.execute("SELECT type, name FROM sqlite_master ORDER BY type, name").fetchall()


async def test_a_data_set_is_like_any_database(tmp_path: Path) -> None:
    """It has every index and trigger, the counts are right, and its users are found."""
    store = make_store(tmp_path / "made.sqlite3", [50, 3])
    empty = tmp_path / "empty.sqlite3"
    await (await Database.open(str(empty))).close()
    assert rules(store.database) == rules(empty)
    with opened(store.database) as connection:
        counted = connection.execute("SELECT active_users + inactive_users + virtual_users FROM domains").fetchall()
        assert counted == [(50,), (3,)]
        assert connection.execute("SELECT count(*) FROM user_search").fetchone() == (53,)
        assert connection.execute("SELECT count(*) FROM search_due").fetchone() == (0,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert [(domain.first_user, domain.users) for domain in store.domains] == [(1, 50), (51, 3)]


def test_data_sets_are_kept(tmp_path: Path) -> None:
    """In the same folder they are made once, and anew for other sizes."""
    made = kept_store(tmp_path, "small", [5], lambda _: None)
    before = made.database.stat().st_ino
    assert kept_store(tmp_path, "small", [5], lambda _: None) == made
    assert made.database.stat().st_ino == before
    assert [domain.users for domain in kept_store(tmp_path, "small", [6], lambda _: None).domains] == [6]


def test_the_page_has_the_table(tmp_path: Path) -> None:
    """Between its marks the page has the rows of the last run, and nothing else of it changes."""
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\n{END}\n\nAfter\n", "utf-8")
    for measured in (3.0, 2.0):
        report = Report(file=tmp_path / "bench.json")
        report.add(Result("read", "a|b", "ms", measured, wanted="≤ 2 ms", reached=measured <= 2))
        machine, rows, _ = read_report(tmp_path / "bench.json")
        write_table(page, machine, rows)
    text = page.read_text("utf-8")
    assert text.startswith(f"# Before\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nAfter\n")
    assert "| read | a\\|b |  |  | 2.00 ms |  | ≤ 2 ms | yes |" in text
    assert "3.00 ms" not in text


def test_points_are_kept_apart_from_rows(tmp_path: Path) -> None:
    """A measurement may find both."""
    report = Report(file=tmp_path / "bench.json")
    report.add([GOOD, Point("lists", "status=0", 1000, 0.5)])
    document = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert len(document["results"]) == len(document["points"]) == 1
