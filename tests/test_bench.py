"""The benchmark shows and writes what it has measured, whatever breaks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.bench import __main__ as bench
from tests.bench.results import Result
from tests.bench.servers import BrokenRunError

GOOD = Result(name="read", what="one user", unit="/s", measured=2.0)


def breaks() -> Result:
    """A measurement in which something went wrong."""
    raise BrokenRunError("slapd did not start")


def rows(*measurements: tuple[str, Callable[[], Result]]) -> Callable[..., Iterator[Any]]:
    """In the place of everything that is measured."""
    return lambda *_, **__: iter(measurements)


def then_break(*_: Any, **__: Any) -> Iterator[Any]:
    """Breaks between two measurements, where a server is started."""
    yield "read", lambda: GOOD
    raise BrokenRunError("a server did not start")


@pytest.mark.parametrize(
    ("measurements", "reason"),
    [
        (rows(("read", lambda: GOOD), ("list", breaks)), "list: slapd did not start"),
        (rows(("list", breaks), ("read", lambda: GOOD)), "list: slapd did not start"),
        (then_break, "a server did not start"),
    ],
)
def test_what_was_measured_stays(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    measurements: Callable[..., Iterator[Any]],
    reason: str,
) -> None:
    """Before or after the one that breaks; the reason is told, and the exit code is 1."""
    monkeypatch.setattr(bench, "_measurements", measurements)
    monkeypatch.setattr(bench, "check_wrk", lambda: None)
    written = tmp_path / "bench.json"
    with pytest.raises(typer.Exit) as caught:
        bench.main(only=["read", "list"], json=written)
    assert caught.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "one user" in shown
    assert reason in shown
    assert '"one user"' in written.read_text("utf-8")
    assert json.loads(written.read_text("utf-8"))
