"""Whether the directory still has the users whose logins are renewed."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import InvalidError, UnauthenticatedError, UnavailableError
from postroom.app.limits.memory import remember
from postroom.app.services.directories import Directories
from postroom.storage.auth import Account

#: Seconds for which an answer counts, and after which a directory that was away is asked again.
ASK_AGAIN: Final = 300.0
TRY_AGAIN: Final = 30.0
#: Users of whom the last answer is remembered.
MOST: Final = 10_000


class _Answer(Enum):
    HAS = auto()
    GONE = auto()
    AWAY = auto()


@dataclass(frozen=True, slots=True)
class _Found:
    answer: _Answer
    #: UNIX times: when it was asked, and when the directory was last seen to have the user (0: never).
    asked: float
    seen: float

    def counts(self, now: float) -> bool:
        return 0 <= now - self.asked < (TRY_AGAIN if self.answer is _Answer.AWAY else ASK_AGAIN)


#: User ID and object ID: who is linked to another object is another person to the directory.
_Key = tuple[int, str]


class Presence:
    """Asks the directory of a user at most every few minutes. `grace`: seconds that it may be away. `close()` at the
    end.

    When a user was last seen stands in their token as well, so that a restart does not end every login while the
    directory is away.
    """

    def __init__(self, directories: Directories, grace: float) -> None:
        self._directories = directories
        self._grace = grace
        self._found: dict[_Key, _Found] = {}
        self._asking: dict[_Key, asyncio.Task[_Found]] = {}

    def saw(self, account: Account) -> float | None:
        """Remembers that the directory has just let the user in; returns the time. None for a user of no directory."""
        if account.ldap_id is None:
            return None
        now = time.time()
        remember(self._found, (account.id, account.ldap_id), _Found(_Answer.HAS, now, now), MOST)
        return now

    async def check(self, account: Account, seen: float) -> float | None:
        """When the directory was last seen to have the user; None for a user of no directory. `seen` is what the token
        says of it.

        Raises UnauthenticatedError (it does not have them any more), UnavailableError (it has been away for too long).
        """
        if account.ldap_id is None:
            return None
        key, now = (account.id, account.ldap_id), time.time()
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
        """Ends what is being asked."""
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
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, key: _Key, account: Account, before: _Found) -> _Found:
        try:
            directory = await self._directories.of_organisation(account.org_id)
            entry = await directory.fetch(parse_object_id(key[1]))
        except (UnavailableError, InvalidError):
            # Away, not configured, or with several entries of that ID: nobody can tell. Who was gone stays gone.
            answer = _Answer.GONE if before.answer is _Answer.GONE else _Answer.AWAY
            found = _Found(answer, time.time(), before.seen)
        else:
            now = time.time()
            found = _Found(_Answer.GONE, now, before.seen) if entry is None else _Found(_Answer.HAS, now, now)
        remember(self._found, key, found, MOST)
        return found
