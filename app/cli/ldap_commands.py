"""Runs the commands `postroom ldap ...` and returns their exit codes."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

import orjson

from postroom.app.cli import configured
from postroom.app.cli.failures import explained, log_taken_by
from postroom.app.cli.ldap_requests import Import, Plan, Search, Sync
from postroom.app.cli.ldap_views import Outcome, View
from postroom.app.cli.output import FINE, NOTICED
from postroom.app.config import Config
from postroom.app.errors import InvalidError, MisconfiguredError, PostroomError
from postroom.app.services import ldap_import, ldap_search
from postroom.app.services.context import Context
from postroom.app.services.ldap_probe import probe
from postroom.app.services.ldap_sync import start_sync
from postroom.app.services.ldap_targets import target_named
from postroom.app.web.inputs import load
from postroom.app.wiring import opened
from postroom.schemas.downsync import ImportQuerySchema, SearchQuerySchema
from postroom.storage import tasks

_CHANGES = ("create", "update", "unlink")

Command = Callable[[Context, View], Awaitable[int]]


def run(command: Command, database: str | None, *, json: bool = False) -> int:
    """Runs a command on the database and returns its exit code; prints an error as one line."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without umlauts must not stop the command.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    view = View(json=json)
    try:
        with log_taken_by(_Warnings(view)):
            return asyncio.run(_run(configured.load({"database": database}), command, view))
    except BrokenPipeError:
        raise  # the reader of the pipe has gone; typer handles this
    except (Exception, KeyboardInterrupt, asyncio.CancelledError) as error:  # noqa: BLE001 - the last line of defence: a terminal is no place for a traceback
        return view.fail(*explained(error))


async def _run(config: Config, command: Command, view: View) -> int:
    current = asyncio.current_task()
    if current is not None:
        # asyncio handles SIGINT itself. systemd sends SIGTERM to a timer unit that takes too long.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, current.cancel)
    async with opened(config, create=False) as context:
        return await command(context, view)


async def try_out(context: Context, view: View, org: str | None) -> int:
    """Tries the directory for everyone, or that of an organisation."""
    where = await target_named(context, None, org)
    directory = await context.directories.of_organisation(where.org_id)
    view.show_config(directory.config)
    try:
        view.show_probe(await probe(context, directory))
    except InvalidError as error:
        raise MisconfiguredError(error.message) from None
    return FINE


async def search(context: Context, view: View, asked: Search) -> int:
    """Shows people of the directory."""
    query = load(SearchQuerySchema(), {"query": asked.term, "limit": asked.limit})
    where = await target_named(context, asked.domain, asked.org)
    people = await ldap_search.search(context, where, query["query"], query["limit"], show_all=asked.show_all)
    view.show_people(people, show_all=asked.show_all)
    return FINE


async def import_user(context: Context, view: View, asked: Import) -> int:
    """Imports one person, and shows the user."""
    query = load(ImportQuerySchema(), {"ID": asked.object_id, "lang": asked.lang})
    where = await target_named(context, asked.domain, asked.org)
    imported = await ldap_import.import_user(
        context, where, query["ID"], force=asked.force, lang=query["lang"], actor=None
    )
    for one in imported:
        view.show_user(orjson.loads(one.document), created=one.created)
    return FINE


async def diff(context: Context, view: View, asked: Sync) -> int:
    """Shows the plan."""
    outcome = await _sync(context, view, asked, dry_run=True)
    view.show_plan(outcome)
    return NOTICED if any(outcome.counts.get(action) for action in (*_CHANGES, "skip")) else FINE


async def count(context: Context, view: View, asked: Sync, plan: Plan) -> int:
    """Counts the changes of a sync before the question; shows the outcome when there is nothing to change."""
    outcome = await _sync(context, view, asked, dry_run=True)
    plan.changes = sum(outcome.counts.get(action, 0) for action in _CHANGES)
    if plan.changes:
        view.show_question(outcome)
        return FINE
    view.show_outcome(outcome)
    return _code(outcome)


async def sync(context: Context, view: View, asked: Sync) -> int:
    """Updates the users, and shows what happened."""
    outcome = await _sync(context, view, asked, dry_run=False)
    view.show_outcome(outcome)
    return _code(outcome)


def _code(outcome: Outcome) -> int:
    return NOTICED if outcome.counts.get("skip") else FINE


async def _sync(context: Context, view: View, asked: Sync, *, dry_run: bool) -> Outcome:
    """Returns the outcome of a completed update. Otherwise shows how far it came, and raises the reason."""
    options = asked.options(dry_run=dry_run)
    where = await target_named(context, asked.domain, asked.org)
    with view.progress() as report:
        task_id = await start_sync(context, where, options, None, report)
        failure: BaseException | None = None
        try:
            await context.tasks.wait(task_id)
        except asyncio.CancelledError as error:
            failure = error
            with contextlib.suppress(PostroomError):  # it has ended meanwhile
                await context.tasks.cancel(task_id)
        except Exception as error:  # noqa: BLE001 - raised again after showing how far it came
            failure = error
    outcome = await _outcome(context, task_id)
    if failure is None and outcome.state == tasks.CANCELLED:
        failure = asyncio.CancelledError()
    if failure is not None:
        view.show_unfinished(outcome)
        raise failure
    return outcome


async def _outcome(context: Context, task_id: int) -> Outcome:
    found = await context.database.read(tasks.read_task, task_id)
    document = orjson.loads(found or b"{}")
    params = document.get("params", {})
    return Outcome(
        task_id,
        document.get("state", tasks.CANCELLED),
        document.get("message", ""),
        params.get("result", []),
        params.get("counts", {}),
        dry_run=params.get("dryRun", False),
    )


class _Warnings(logging.Handler):
    """Shows log records, except the exception of a failed task, which the command itself reports."""

    def __init__(self, view: View) -> None:
        super().__init__(logging.WARNING)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info:
            self._view.warn(record.getMessage())
