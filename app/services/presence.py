"""Checks, when a login is renewed, whether the directory still has the user."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from postroom.app.clock import Clock
from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import InvalidError, UnauthenticatedError, UnavailableError
from postroom.app.limits.memory import remember
from postroom.app.services.directories import Directories
from postroom.storage.auth import Account

#: Seconds until the directory is asked again: after an answer, and after an outage.
ASK_AGAIN: Final = 300.0
TRY_AGAIN: Final = 30.0
#: Users whose last answer is cached, at most.
MOST: Final = 10_000


class _Answer(Enum):
    HAS = auto()
    GONE = auto()
    AWAY = auto()


@dataclass(frozen=True, slots=True)
class _Found:
    answer: _Answer
    #: UNIX times: of the last question, and of the last time that the directory had the user (0: never).
    asked: float
    seen: float

    def counts(self, now: float) -> bool:
        return 0 <= now - self.asked < (TRY_AGAIN if self.answer is _Answer.AWAY else ASK_AGAIN)


#: User ID and object ID: a user linked to another object is another person to the directory.
_Key = tuple[int, str]


class Presence:
    """Asks a user's directory, at most every few minutes. `grace`: how long it may be away, in seconds. Close it at the
    end.

    A user's token also contains when they were last seen. So a restart during an outage of the directory does not end
    every login.
    """

    def __init__(self, directories: Directories, grace: float, clock: Clock) -> None:
        self._clock = clock
        self._directories = directories
        self._grace = grace
        self._found: dict[_Key, _Found] = {}
        self._asking: dict[_Key, asyncio.Task[_Found]] = {}

    def saw(self, account: Account) -> float | None:
        """Remembers that the directory has just let the user in; returns the time. None for a user of no directory."""
        if account.ldap_id is None:
            return None
        now = self._clock.now()
        remember(self._found, (account.id, account.ldap_id), _Found(_Answer.HAS, now, now), MOST)
        return now

    async def check(self, account: Account, seen: float) -> float | None:
        """When the directory last had the user; None for a user of no directory. `seen` is that time from the token.

        Raises UnauthenticatedError (the user is gone), UnavailableError (the directory has been away for too long).
        """
        if account.ldap_id is None:
            return None
        key, now = (account.id, account.ldap_id), self._clock.now()
        found = self._found.get(key, _Found(_Answer.HAS, seen, seen))
        if not found.counts(now):
            found = await self._ask_once(key, account, found)
        if found.answer is _Answer.GONE:
            raise UnauthenticatedError("Access denied", ["The directory does not have this user any more"])
        seen = max(seen, found.seen)
        if found.answer is _Answer.AWAY and not 0 <= now - seen < self._grace:
            raise UnavailableError("The directory cannot be asked whether it still has this user; try again later")
        return seen

    async def close(self) -> None:
        """Cancels all questions in flight."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        for task in asking:
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _ask_once(self, key: _Key, account: Account, before: _Found) -> _Found:
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, account, before))
            task.add_done_callback(lambda _: self._asking.pop(key))
        # A caller who goes away must not cancel the question of the others.
        return await asyncio.shield(task)

    async def _ask(self, key: _Key, account: Account, before: _Found) -> _Found:
        try:
            directory = await self._directories.of_organisation(account.org_id)
            entry = await directory.fetch(parse_object_id(key[1]))
        except (UnavailableError, InvalidError):
            # Away, not configured, or several entries with this ID: unknown. A user who was gone stays gone.
            answer = _Answer.GONE if before.answer is _Answer.GONE else _Answer.AWAY
            found = _Found(answer, self._clock.now(), before.seen)
        else:
            now = self._clock.now()
            found = _Found(_Answer.GONE, now, before.seen) if entry is None else _Found(_Answer.HAS, now, now)
        remember(self._found, key, found, MOST)
        return found
