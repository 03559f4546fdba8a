"""Stores in memory for tests, a connection each: they begin in a moment, and can go back to how they were.

Functions run on the thread of the event loop that asks. So any number of stores needs no thread, and each is as fast
as SQLite, but nothing else happens while one works: this is not for a service.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import cache, partial
from typing import Final, TypeVar, TypeVarTuple

from postroom.storage import sealed, sqlite
from postroom.storage.audit.capture import capture
from postroom.storage.connections import IN_MEMORY, connect_plain, connect_writer, uri_of
from postroom.storage.database import Database
from postroom.storage.engine import Connection, Parts
from postroom.storage.faults import DatabaseError
from postroom.storage.generation import Generation, find_auth_generation
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import latest
from postroom.storage.opening import look_and_read
from postroom.storage.presence import Presence
from postroom.storage.searches import Reader, Searches
from postroom.storage.sqlite import sqlite3
from postroom.storage.user_search import matching

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


#: Connections of stores that are closed, for further ones: preparing one to note what is changed takes longer than
#: everything else.
_free: Final[deque[sealed.Connection]] = deque()
_MOST_FREE: Final = 8


class Image:
    """A whole store as it was at one moment. Any number of stores can begin with it, on any thread."""

    def __init__(self, raw: sealed.Connection) -> None:
        self._raw = raw
        self._lock = threading.Lock()

    def opened(self, search_timeout: float) -> Database:
        """A new store with the same content."""
        return Database(_parts(self._connection(), search_timeout))

    def _connection(self) -> sealed.Connection:
        with contextlib.suppress(IndexError):  # there is none left
            while True:
                raw = _free.pop()
                try:
                    self._copy_to(raw)
                except sqlite3.Error:
                    raw.close()  # something still reads from it
                else:
                    return raw
        raw = connect_plain(IN_MEMORY, self._raw.keyring)
        self._copy_to(raw)
        raw.execute("PRAGMA foreign_keys = ON").fetchall()
        capture(raw)
        return raw

    def _copy_to(self, raw: sealed.Connection) -> None:
        with self._lock:
            self._raw.backup(raw)


@cache
def empty_image() -> Image:
    """A store without any rows of users; made once."""
    return Image(connect_writer(uri_of(IN_MEMORY), IN_MEMORY, Keyring(None), create=True, unlock=True))


def image_of(connection: sealed.Connection) -> Image:
    """What a store of this module contains now, for `Database.read`."""
    copy = connect_plain(IN_MEMORY, connection.keyring)
    connection.backup(copy)
    return Image(copy)


class _Session:
    """Runs functions on a connection at once."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw
        self._closed = False

    async def run(self, function: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """The result of `function(connection, *args)`."""
        if self._closed:
            raise DatabaseError("The database is closed")
        return function(self._raw, *args)

    async def close(self) -> None:
        """Runs nothing more."""
        self._closed = True


def _parts(raw: sealed.Connection, search_timeout: float) -> Parts:
    session, generation = _Session(raw), Generation(find_auth_generation(raw))
    reader = Reader(session, raw, generation)
    return Parts(
        name=f"SQLite {sqlite.VERSION}",
        schema=latest(),
        writer=session,
        look_ups=session,
        keyed_reads=session,
        # Searches begin on the first, and slow ones go on where the others are: here all of them are the same.
        searches=Searches([reader, reader], search_timeout),
        place=Presence(IN_MEMORY),
        generation=generation,
        run_reads=partial(look_and_read, generation=generation),
        matching=matching,
        finish=_nothing,
        release=partial(_give_back, raw),
    )


def _give_back(raw: sealed.Connection) -> None:
    raw.set_progress_handler(None, 0)
    if raw.in_transaction or len(_free) >= _MOST_FREE:
        raw.close()
    else:
        _free.append(raw)


def _nothing(_connection: Connection) -> None:
    """There is no file that has to be left in order."""
