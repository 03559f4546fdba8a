"""The output of the commands `postroom ldap ...`: results on stdout, all else on stderr; with --json one document.

Values from the directory may hold any text. They are shown as plain text, never as markup, and without terminal control
characters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from postroom.app.cli.output import console, print_json
from postroom.app.directory.config import DirectoryConfig
from postroom.app.services.ldap_probe import Probe
from postroom.schemas.values.text import printable

#: Action -> (sign, colour, word for done, word for planned).
_ACTIONS = {
    "create": ("+", "green", "created", "to create"),
    "update": ("~", "yellow", "updated", "to update"),
    "unlink": ("-", "magenta", "unlinked", "to unlink"),
    "skip": ("!", "red", "skipped", "skipped"),
    "unchanged": ("=", "dim", "unchanged", "unchanged"),
}
_CONTACT = 5
_MOST_SKIPPED = 20
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an update: the task, and its items as the API shows them."""

    task_id: int
    state: int
    message: str
    items: Sequence[Mapping[str, Any]]
    counts: Mapping[str, int]
    dry_run: bool = False


class View:
    """Shows things on the terminal, or as JSON."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._printed = False
        self._out, self._err = console(), console(stderr=True)

    def fail(self, message: str, code: int) -> int:
        """Shows an error; returns the exit code."""
        text = message.replace("force=true", "--force")
        self._print_json(text, None)
        _print(self._err, Text(f"postroom: {clean(text)}"))
        return code

    def warn(self, message: str) -> None:
        """Shows a warning."""
        _print(self._err, Text(f"postroom: {clean(message)}", style="yellow"))

    @contextmanager
    def progress(self) -> Iterator[Callable[[int], None]]:
        """On a terminal, shows how many entries have been read; yields a function that takes each new number."""
        columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} entries"), _Rate())
        with Progress(*columns, console=self._err, transient=True, disable=not self._err.is_terminal) as progress:
            task = progress.add_task("", total=None)
            yield lambda entries: progress.update(task, advance=entries)

    def show_config(self, config: DirectoryConfig) -> None:
        """Shows the configuration of the directory."""
        shown = {
            "Server": " ".join(server.url for server in config.servers) + (" (StartTLS)" if config.starttls else ""),
            "Bind DN": config.bind_user or "none: anonymous",
            "Base DN": config.base_dn,
            "Object ID": config.object_id,
            "Filter": config.filter,
            "Contacts": config.contact_filter or "none",
        }
        self._out.print(_pairs(shown))

    def show_probe(self, probe: Probe) -> None:
        """Shows the result of `test`."""
        more = " or more" if probe.entries >= probe.page else ""
        _print(self._out, Text("Connection, login, base DN and filters work.", style="green"))
        _print(self._out, Text(f"The first page has {probe.entries}{more} entries."))
        if probe.sample:
            _print(self._out, Text("\nOne of them, as a user:"))
            self._out.print(_pairs({"object ID": probe.object_id, **probe.sample}))
        elif probe.unusable:
            self.warn(f"None of them can become a user; the first one: {probe.unusable}")
        else:
            self.warn("The filters find nobody below the base DN")

    def show_people(self, people: Sequence[Mapping[str, Any]], *, show_all: bool) -> None:
        """Shows the people that a search found."""
        message = f"{len(people)} found" if people else "Nobody was found"
        if self._print_json(message, people):
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("OBJECT ID", no_wrap=True, overflow="ignore")
        for name in ("NAME", "ADDRESS", "TYPE", *(["WHY NOT"] if show_all else [])):
            table.add_column(name, overflow="fold")
        for one in people:
            values = [one[name] for name in ("ID", "name", "email", "type", *(["error"] if show_all else []))]
            table.add_row(*(Text(clean(value)) for value in values))
        if people:
            self._out.print(table)
        _print(self._err, Text(message))

    def show_user(self, user: Mapping[str, Any], *, created: bool) -> None:
        """Shows the imported user."""
        properties = user.get("properties") or {}
        name = properties.get("smtpaddress", user["username"]) if user["status"] == _CONTACT else user["username"]
        kind = "contact" if user["status"] == _CONTACT else "user"
        done = "Created" if created else "Updated"
        shown = f" ({clean(properties['displayname'])})" if properties.get("displayname") else ""
        _print(self._out, Text(f"{done} {kind} {user['ID']}: {clean(name)}{shown}, domain {user['domainID']}"))

    def show_plan(self, outcome: Outcome) -> None:
        """Shows every change of a dry run, and how many there are."""
        if self._print_json(outcome.message, outcome.items):
            return
        for item in outcome.items:
            if item["action"] != "unchanged":
                self._show_step(item)
        _print(self._out, Text(clean(outcome.message) if _idle(outcome) else _counts(outcome, planned=True)))

    def show_question(self, outcome: Outcome) -> None:
        """Shows the number of changes before the question."""
        _print(self._err, Text(f"The directory has been read: {_counts(outcome, planned=True)}."))

    def show_outcome(self, outcome: Outcome) -> None:
        """Shows what an update has done."""
        if self._print_json(outcome.message, outcome.items):
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for action, (_, colour, done, _) in _ACTIONS.items():
            if outcome.counts.get(action):
                table.add_row(Text(done, style=colour), f"{outcome.counts[action]:,}")
        if table.row_count:
            self._out.print(table)
        skipped = [item for item in outcome.items if item["action"] == "skip"]
        for item in skipped[:_MOST_SKIPPED]:
            self._show_step(item)
        if len(skipped) > _MOST_SKIPPED:
            _print(self._out, Text(f"... and {len(skipped) - _MOST_SKIPPED} more"))
        _print(self._out, Text(f"Task {outcome.task_id}: {clean(outcome.message)}"))

    def show_unfinished(self, outcome: Outcome) -> None:
        """Shows what an update had done when it ended early."""
        self._print_json(outcome.message.replace("force=true", "--force"), outcome.items)
        if not outcome.dry_run:
            counts = _counts(outcome, planned=False) or "nothing"
            text = f"Task {outcome.task_id} did not finish. Done so far, and kept: {counts}."
            _print(self._err, Text(text))

    def _show_step(self, item: Mapping[str, Any]) -> None:
        sign, colour, _, _ = _ACTIONS[item["action"]]
        line = Text(f"{sign} {clean(item['username'] or item.get('objectID'))}", style=colour)
        if item["action"] in ("skip", "unlink"):
            line.append(f"  {clean(item['message'])}")
        _print(self._out, line)
        if item["action"] == "update":
            for name, (before, after) in item.get("changes", {}).items():
                _print(self._out, Text(f"    {clean(name)}: {clean(before)} -> {clean(after)}", style=colour))
        # The message names what was left out after the first semicolon.
        left_out = item["message"].partition("; ")[2]
        if item["action"] in ("create", "update") and left_out:
            _print(self._out, Text(f"    {clean(left_out)}", style="dim"))

    def _print_json(self, message: str, data: Sequence[Mapping[str, Any]] | None) -> bool:
        """Prints the first result as JSON if --json was given; returns whether it was."""
        if self._json and not self._printed:
            print_json(message, data)
            self._printed = True
        return self._json


class _Rate(ProgressColumn):
    """Entries a second since the beginning."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text(f"{task.completed / task.elapsed:,.0f}/s" if task.elapsed else "")


def clean(value: object) -> str:
    """A value on one line, shortened, without terminal control characters (escapes, right-to-left overrides)."""
    text = "-" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)


def _pairs(values: Mapping[str, object]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in values.items():
        table.add_row(Text(clean(name)), Text(clean(value)))
    return table


def _counts(outcome: Outcome, *, planned: bool) -> str:
    word = 3 if planned else 2
    return ", ".join(
        f"{outcome.counts[name]:,} {_ACTIONS[name][word]}" for name in _ACTIONS if outcome.counts.get(name)
    )


def _idle(outcome: Outcome) -> bool:
    return not any(outcome.counts.get(name) for name in _ACTIONS if name != "unchanged")
