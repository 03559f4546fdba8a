"""Does the lines of a bulk request in order: hashes passwords, writes batches, reports each result and the progress.

The lines of a transaction and the number of the last one of them are committed together. So whatever breaks, whole
lines are done, and the task says which.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from postroom.app.auth.given_hashes import check_given_hash
from postroom.app.auth.passwords import check_new_password
from postroom.app.auth.tokens import Caller
from postroom.app.errors import InvalidError, PostroomError, ThrottledError
from postroom.app.services.context import Context
from postroom.app.transactions.bulk import Do, Line, Outcome, do, do_lines, only_try, try_to_do
from postroom.app.transactions.tasks import CancelledTaskError, report_progress
from postroom.app.transactions.users import Change
from postroom.schemas.values.text import printable
from postroom.schemas.values.users import STATUS_CONTACT, STATUS_NORMAL, STATUS_SHARED
from postroom.storage.engine import Connection
from postroom.storage.faults import IntegrityError, is_unavailable

#: Passwords that are hashed together: enough for all threads of the hashes.
_HASHED_TOGETHER: Final = 8
#: Refused lines that the task names, and the longest text of one. The response names all of them.
_ERRORS_KEPT: Final = 50
_LONGEST_TEXT: Final = 200

#: Sends the outcomes of lines to the client, and waits while it has too much left to read.
Report = Callable[[Sequence[Outcome]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Options:
    """`dry_run`: try each line by itself, and keep nothing. `stop_on_error`: end with the first refused line."""

    dry_run: bool
    stop_on_error: bool


#: Action -> what was done.
_DONE: Final = {"create": "created", "patch": "changed", "delete": "deleted"}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the lines are done: the number of the last one, how many were done by action, how many were refused, and
    the first reasons.
    """

    lines: int = 0
    done: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(_DONE, 0))
    refused: int = 0
    errors: Sequence[Mapping[str, Any]] = ()

    def after(self, outcomes: Sequence[Outcome]) -> "Progress":
        """The progress after these outcomes."""
        done = Counter(outcome.line.action for outcome in outcomes if outcome.error is None)
        refused = [outcome for outcome in outcomes if outcome.error is not None]
        errors = [_shown(outcome) for outcome in refused[: _ERRORS_KEPT - len(self.errors)]]
        return Progress(
            outcomes[-1].line.number,
            {action: number + done[action] for action, number in self.done.items()},
            self.refused + len(refused),
            [*self.errors, *errors],
        )

    def counts(self) -> dict[str, Any]:
        """The numbers of lines."""
        return {"lines": self.lines, "done": self.done, "refused": self.refused}

    def text(self) -> str:
        """One sentence."""
        counts = "".join(f"{self.done[action]} {word}, " for action, word in _DONE.items())
        return f"Done up to line {self.lines}: {counts}{self.refused} refused"


def _shown(outcome: Outcome) -> dict[str, Any]:
    number, error = outcome.line.number, outcome.error
    if isinstance(error, PostroomError):
        return {"line": number, "status": error.status, "message": printable(error.message[:_LONGEST_TEXT])}
    if isinstance(error, IntegrityError):
        return {"line": number, "status": 400, "message": "This broke a rule that only the database checks"}
    return {"line": number, "status": 500, "message": "An internal error; the log has more"}


class Bulk:
    """The lines of one request, for a domain."""

    def __init__(self, context: Context, domain_id: int, caller: Caller, options: Options) -> None:
        self._context = context
        self._domain_id = domain_id
        self._caller = caller
        self._options = options
        self.progress = Progress()
        #: One sentence, once all is done.
        self.summary: str | None = None

    def params(self, progress: Progress | None = None) -> dict[str, Any]:
        """What the task shows: the request, and how far it is."""
        now = progress or self.progress
        asked = {
            "domainID": self._domain_id,
            "dryRun": self._options.dry_run,
            "stopOnError": self._options.stop_on_error,
        }
        return {**asked, **now.counts(), "errors": now.errors}

    async def run(self, task_id: int, batches: AsyncIterator[list[Line]], report: Report) -> str:
        """Does all lines, as a task, and returns the summary.

        Raises whatever ends the work before its end: PostroomError (the caller is not allowed any more, or is too
        slow, or has hung up), CancelledTaskError, DatabaseError.
        """
        async for lines in batches:
            await self._hash(lines)
            while lines:
                outcomes = await self._write(task_id, lines)
                await report(outcomes)
                if self._options.stop_on_error and outcomes[-1].error is not None:
                    return self._end("Stopped at the first refused line. ")
                lines = lines[len(outcomes) :]
        return self._end("Dry run, nothing was changed. " if self._options.dry_run else "")

    def _end(self, how: str) -> str:
        self.summary = how + self.progress.text()
        return self.summary

    async def _hash(self, lines: Sequence[Line]) -> None:
        """Finds the hash of each line's password, before any transaction: there is only one writer."""
        plain = [line for line in lines if line.action == "create" and line.error is None and self._needs_hash(line)]
        if self._options.dry_run:
            return
        for start in range(0, len(plain), _HASHED_TOGETHER):
            await asyncio.gather(*(self._hash_one(line) for line in plain[start : start + _HASHED_TOGETHER]))

    def _needs_hash(self, line: Line) -> bool:
        """Checks the password that a line has, or lacks; whether it is to be hashed."""
        data, minimum = line.data, self._context.config.password_min_length
        given, plain = data.get("passwordHash"), data.get("password")
        try:
            if given is not None and plain is None:
                line.hashed = check_given_hash(given, "passwordHash")
            elif given is not None:
                raise InvalidError.field("passwordHash", "Only one of password and passwordHash can be given.")
            elif plain is not None or data.get("status", STATUS_NORMAL) not in (STATUS_SHARED, STATUS_CONTACT):
                check_new_password(plain, minimum, "password")
                return True
        except InvalidError as error:
            line.error = error
        return False

    async def _hash_one(self, line: Line) -> None:
        try:
            line.hashed = await self._context.passwords.hash(line.data["password"], self._caller.user_id)
        except ThrottledError as error:
            line.error = error

    async def _write(self, task_id: int, lines: Sequence[Line]) -> list[Outcome]:
        """Does the first lines, at least one, in one transaction; returns what became of them, once it is on disk."""
        one = only_try if self._options.dry_run else do
        try:
            return await self._write_with(one, task_id, lines)
        except CancelledTaskError:
            raise
        except Exception as error:
            if one is only_try or is_unavailable(error):
                raise
            # A line was refused, and with it the whole transaction. Each line now gets a savepoint, which takes longer.
            return await self._write_with(try_to_do, task_id, lines)

    async def _write_with(self, one: Do, task_id: int, lines: Sequence[Line]) -> list[Outcome]:
        change = Change(self._caller, self._caller.grants.system_write, self._context.now())
        outcomes, self.progress = await self._context.database.write(self._apply, one, task_id, lines, change)
        return outcomes

    def _apply(
        self, connection: Connection, one: Do, task_id: int, lines: Sequence[Line], change: Change
    ) -> tuple[list[Outcome], Progress]:
        stop = self._options.stop_on_error
        outcomes = do_lines(connection, self._domain_id, lines, change, one, stop=stop)
        progress = self.progress.after(outcomes)
        report_progress(connection, task_id, self.params(progress), progress.text(), change.now)
        return outcomes, progress
