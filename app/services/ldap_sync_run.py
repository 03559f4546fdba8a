"""Syncs one directory page by page: reads the entries, plans the changes, then writes them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import chain

from postroom.app.directory.client import Directory
from postroom.app.directory.config import DirectoryConfig
from postroom.app.directory.differences import IDENTITY
from postroom.app.directory.mapping import Entry
from postroom.app.directory.plan import FAULT, Action, Planner, ReadEntry, Snapshot, Step, read_entry
from postroom.app.directory.scope import Scope
from postroom.app.errors import ForbiddenError, PostroomError
from postroom.app.services.context import Context
from postroom.app.services.ldap_targets import Target
from postroom.app.services.orphans import check_share, gone
from postroom.app.transactions import authority
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.ldap_users import (
    LINKS,
    Linking,
    check_unmoved,
    create_from_directory,
    update_from_directory,
)
from postroom.app.transactions.tasks import CancelledTaskError, check_not_cancelled
from postroom.app.transactions.users import Change
from postroom.storage import ldap_users, tasks, users
from postroom.storage.engine import Connection
from postroom.storage.faults import DatabaseError, OperationalError
from postroom.storage.ldap_users import Linked
from postroom.storage.tasks import Item
from postroom.storage.writing import savepoint

log = logging.getLogger("postroom.ldap")

#: Errors that end the sync, because no single entry causes them. Any other error only skips its entry.
_ENDS = (CancelledTaskError, DatabaseError, OperationalError)
#: Entries that are read together, planned before other requests get a turn, and written in one transaction.
PAGE, SLICE, BATCH = 100, 2, 50


@dataclass(frozen=True, slots=True)
class Options:
    """`create`: create users for unlinked entries. `lang`: language of new users whose entry has none. `dry_run`:
    change nothing. `unlink`: unlink users whose object is gone, unless they exceed the configured share of all linked
    users. `force`: unlink them in any case.
    """

    create: bool = False
    lang: str = ""
    dry_run: bool = False
    unlink: bool = False
    force: bool = False


#: Receives the number of entries just read.
Report = Callable[[int], None]


def ignore_progress(_entries: int) -> None:
    """The default `Report`: does nothing."""


DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.UNCHANGED: "unchanged",
    Action.UNLINK: "unlinked",
    Action.SKIP: "skipped",
}
TO_DO = {Action.CREATE: "to create", Action.UPDATE: "to update", Action.UNLINK: "to unlink"}


class Run:
    """One target of one task."""

    def __init__(
        self, context: Context, task_id: int, target: Target, options: Options, actor: Actor, report: Report
    ) -> None:
        self._context = context
        self._task_id = task_id
        self._directory: Directory = target.directory
        self._config: DirectoryConfig = target.directory.config
        self._scope: Scope = target.scope
        self._siblings, self._orgs = target.scope.siblings(), target.scope.orgs()
        self._planner = Planner(self._config, self._scope)
        self._options = options
        self._actor = actor
        self._report = report
        self.read = 0

    async def run(self) -> None:
        writing: asyncio.Task[None] | None = None
        try:
            async with aclosing(self._directory.pages(PAGE)) as pages:
                async for page in pages:
                    # The directory sends the next page while this one is written.
                    read = await self._map(page)
                    if writing is not None:
                        await writing
                    writing = asyncio.create_task(self._write(await self._plan(read)))
        finally:
            if writing is not None:
                await writing
        await self._write(await self._plan_missing())

    async def _map(self, page: Sequence[Entry]) -> list[ReadEntry]:
        self.read += len(page)
        self._report(len(page))
        # An entry without an object ID cannot be linked to a user.
        page = [entry for entry in page if entry.object_id]
        read: list[ReadEntry] = []
        for start in range(0, len(page), SLICE):
            read += [read_entry(entry, self._config, self._scope) for entry in page[start : start + SLICE]]
            await asyncio.sleep(0)
        return read

    async def _plan(self, read: Sequence[ReadEntry]) -> list[Step]:
        snapshot = await self._context.database.read(_read_snapshot, read, self._siblings)
        steps: list[Step] = []
        for start in range(0, len(read), SLICE):
            steps += self._planner.plan(read[start : start + SLICE], snapshot)
            await asyncio.sleep(0)
        return steps

    async def _plan_missing(self) -> list[Step]:
        """The steps for linked users whose object was not listed. It may still exist, but not match the filters."""
        missing: list[Linked] = []
        vanished: set[int] = set()
        while page := await self._context.database.read(
            ldap_users.list_unseen, self._task_id, list(self._scope.domains), missing[-1].id if missing else -1, PAGE
        ):
            missing += page
            vanished.update(user.id for user in await gone(self._directory, page))
        if self._options.unlink:
            linked = await self._context.database.read(ldap_users.count_linked, list(self._scope.domains))
            orphans = [user for user in missing if user.id in vanished]
            check_share(self._context, self._scope.domains, orphans, linked, force=self._options.force)
        return [
            self._planner.missing(user, exists=user.id not in vanished, unlink=self._options.unlink) for user in missing
        ]

    async def _write(self, steps: Sequence[Step]) -> None:
        message = f"{self.read} entries read"
        for start in range(0, max(len(steps), 1), BATCH):
            batch, now = steps[start : start + BATCH], self._context.now()
            try:
                await self._context.database.write(self._apply, self._change, batch, message, now)
            except _ENDS:
                raise
            except Exception:  # noqa: BLE001 - it occurs again below and is logged there
                # The whole batch was rolled back; retry it with a savepoint for each step. Savepoints cost a third of
                # the time, so the first attempt has none.
                await self._context.database.write(self._apply, self._try, batch, message, now)

    def _apply(
        self,
        connection: Connection,
        change: Callable[[Connection, Step, str], Step],
        steps: Sequence[Step],
        message: str,
        now: str,
    ) -> None:
        check_not_cancelled(connection, self._task_id)
        idle = (Action.UNCHANGED, Action.SKIP)
        # The actor's roles may have changed since the sync began.
        concerned = {step.domain_id for step in steps if step.action not in idle}
        authority.check_may_write(connection, self._actor, concerned)
        one = self._foresee if self._options.dry_run else change
        done = [step if step.action in idle else one(connection, step, now) for step in steps]
        items = [_item(step, dry_run=self._options.dry_run) for step in done]
        tasks.insert_items(connection, self._task_id, items)
        tasks.update_task(connection, self._task_id, tasks.RUNNING, message, now)

    def _try(self, connection: Connection, step: Step, now: str) -> Step:
        try:
            with savepoint(connection):
                return self._change(connection, step, now)
        except PostroomError as error:
            # The data has changed since the plan was made, or two entries conflict: skip only this one.
            return _skipped(step, error)
        except _ENDS:
            raise
        except Exception:
            log.exception("The object %s cannot be taken over", step.object_id)
            return replace(step, action=Action.SKIP, code=500, message=FAULT, shown={})

    def _change(self, connection: Connection, step: Step, now: str) -> Step:
        if step.mapped is None:
            self._unlink(connection, step)
            return step
        linking = Linking(step.object_id, step.mapped, self._config, self._actor, self._orgs, self._scope.lang)
        if step.user_id is None:
            change = Change(self._actor, system_admin=False, now=now)
            user_id, _ = create_from_directory(connection, step.domain_id, linking, change)
            return replace(step, user_id=user_id, shown={})
        update_from_directory(connection, step.domain_id, step.user_id, linking)
        return step

    def _unlink(self, connection: Connection, step: Step) -> None:
        user = None if step.user_id is None else users.find_user(connection, step.domain_id, step.user_id)
        # Since the directory was asked, the user was removed or linked to another object.
        if user is None or user.ldap_id != step.object_id:
            return
        check_unmoved(self._orgs, user.domain_id, user.org_id)
        authority.check_may_change(connection, self._actor, user.id, user.username, LINKS)
        users.unlink_user(connection, user.id)

    def _foresee(self, connection: Connection, step: Step, _now: str) -> Step:
        """The outcome of a step in a dry run, which also reports users whom the actor may not change."""
        if step.user_id is None or IDENTITY.isdisjoint(step.shown):
            return step
        if authority.may_change(connection, self._actor, step.user_id):
            return step
        return _skipped(step, authority.refusal(step.username, LINKS))


def _skipped(step: Step, error: PostroomError) -> Step:
    # Clients know a fixed list of codes, and 403 is not among them.
    code = 409 if isinstance(error, ForbiddenError) else error.status
    return replace(step, action=Action.SKIP, code=code, message=error.message, shown={})


def _item(step: Step, *, dry_run: bool) -> Item:
    done = "" if step.action is Action.SKIP else DONE[step.action].capitalize()
    if dry_run and step.action in TO_DO:
        done = f"Would be {DONE[step.action]}"
    message = "; ".join(part for part in (done, step.message) if part)
    return Item(
        step.object_id, step.domain_id, step.user_id, step.username, step.action, step.code, message, step.shown
    )


def _read_snapshot(connection: Connection, read: Sequence[ReadEntry], domain_ids: Sequence[int]) -> Snapshot:
    return Snapshot(
        ldap_users.list_linked(connection, [entry.object_id for entry in read], domain_ids),
        ldap_users.list_owners(connection, chain.from_iterable(entry.names() for entry in read)),
    )
