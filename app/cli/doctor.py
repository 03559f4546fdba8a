"""The command `postroom doctor`, which examines an installation and says on one page whether all is well."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from postroom.app.cli import configured, output

if TYPE_CHECKING:
    from postroom.app.config import Config
    from postroom.storage.checks.findings import Finding
    from postroom.storage.progress import Report

HELP = """Examine the database, its files, the machine, and the directories that it asks.

It says for each thing whether it is right, and what to do if it is not. It can run while the service does: nothing is
changed, and no change has to wait. docs/doctor.md describes every check.

With --repair, what can be repaired without losing anything is repaired: counters are counted again, rows of the search
index are made anew, rows that belong to nobody are removed, rights of others to files are taken away, and tasks of
processes that are gone are marked as interrupted. Everything else needs a decision of yours.

\b
Examples:
  postroom doctor
  postroom doctor --offline            do not ask the servers of directories
  postroom doctor --json > report.json
  postroom doctor --repair --database /var/lib/postroom/postroom.sqlite3

\b
Exit codes:
  0    nothing is wrong; there may be warnings
  1    something is wrong
  2    wrong usage, no such database, or one that cannot be examined
  3    the database is unavailable; trying again may help"""

_STYLES = {"ok": "green", "warning": "yellow", "wrong": "bold red"}
#: Where the text of a line begins.
_INDENT = 40


def doctor(
    database: output.Database = None,
    json: output.Json = False,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired without loss.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no directory.")] = False,
) -> None:
    """Examines an installation."""
    # Imported here, so that --help and wrong options respond at once.
    from postroom.storage.checks.findings import State
    from postroom.storage.faults import DatabaseError, is_unavailable

    try:
        config, findings = _load(database)
        if config is not None:
            findings += _examine(config, offline=offline, repair=repair)
    except Exception as error:
        if not isinstance(error, DatabaseError) and not is_unavailable(error):
            raise
        output.fail(str(error), output.code_of(error), json=json)
    (_print_json if json else _print)(findings)
    raise typer.Exit(output.NOTICED if any(each.state is State.WRONG for each in findings) else output.FINE)


def _load(database: str | None) -> "tuple[Config | None, list[Finding]]":
    """The settings, and what is found about them; None: they are unusable, and no database is given."""
    from postroom.app.config import SettingError, load_config
    from postroom.storage.checks.findings import Finding, State

    try:
        return configured.load({"database": database}), []
    except SettingError as error:
        advice = "Correct it: the service does not start. Without --database, nothing else was examined"
        found = Finding("Machine", "settings", State.WRONG, "Settings that cannot be used: 1", 1, (str(error),), advice)
    if database is None:
        return None, [found]
    try:
        return load_config({"database": database}, {}), [found]
    except SettingError:
        return None, [found]


def _examine(config: "Config", *, offline: bool, repair: bool) -> "list[Finding]":
    from postroom.app.services.doctor import examine_all
    from postroom.storage.backups.copying import be_modest, go_last

    # Whoever uses the service goes first. A repair holds a lock that they wait for, so it must not wait for them.
    be_modest() if repair else go_last()
    with _progress() as report:
        return examine_all(config, report, offline=offline, repair=repair)


@contextmanager
def _progress() -> "Iterator[Report]":
    """Shows on a terminal what is examined."""
    console = output.console(stderr=True)
    if not console.is_terminal:
        yield lambda _name, _done, _all: None
        return
    with console.status("") as status:
        yield lambda name, done, number: status.update(f"{done + 1} of {number}: {name}")


def _print(findings: "Sequence[Finding]") -> None:
    """One line for each check, below the name of its group; then how many there are."""
    from rich.text import Text

    console = output.console()
    for group, members in groupby(_by_group(findings), key=lambda each: each.group):
        console.print(Text(group, style="bold"))
        for each in members:
            line = Text(f"  {each.state:9}", style=_STYLES[each.state])
            line.append(f"{_clean(each.name):28} {_clean(each.message)}", style="not bold default")
            console.print(line, soft_wrap=True)
            for detail in _details(each):
                console.print(Text(" " * _INDENT + detail), soft_wrap=True)
    console.print(_summary(findings))


def _details(finding: "Finding") -> Iterator[str]:
    yield from map(_clean, finding.examples)
    if finding.count > len(finding.examples) > 0:
        yield f"and {finding.count - len(finding.examples):,} more"
    if finding.repaired:
        yield f"Repaired: {finding.repaired:,}"
    if finding.advice:
        yield f"What to do: {_clean(finding.advice)}"


def _by_group(findings: "Sequence[Finding]") -> "list[Finding]":
    """The findings of a group one after the other, groups in the order in which they first occur."""
    groups = list(dict.fromkeys(each.group for each in findings))
    return sorted(findings, key=lambda each: groups.index(each.group))


def _print_json(findings: "Sequence[Finding]") -> None:
    output.print_json(_summary(findings), [asdict(each) for each in findings])


def _summary(findings: "Sequence[Finding]") -> str:
    counts = {state: sum(each.state == state for each in findings) for state in _STYLES}
    repaired = sum(each.repaired for each in findings)
    told = f"Examined {len(findings)}: {counts['ok']} ok, {counts['warning']} warnings, {counts['wrong']} wrong."
    return f"{told} Repaired: {repaired:,}." if repaired else told


def _clean(text: str) -> str:
    from postroom.schemas.values.text import printable

    return printable(text)
