"""Opens a PostgreSQL database for `storage.database`."""

import asyncio
from functools import partial
from pathlib import Path

from postroom.storage import sealed
from postroom.storage.engine import Parts
from postroom.storage.faults import WrongDatabaseError
from postroom.storage.generation import Generation, find_auth_generation
from postroom.storage.keyring import KeyFileError, Keyring
from postroom.storage.postgresql.connection import Connection
from postroom.storage.postgresql.migrating import prepare
from postroom.storage.postgresql.opening import connect
from postroom.storage.postgresql.search import matching
from postroom.storage.postgresql.sessions import Reader, Session, run_together
from postroom.storage.searches import Searches
from postroom.storage.urls import shown


class Server:
    """A server's data is where the server is."""

    def look(self) -> None:
        """Whoever asks the server finds out."""

    def check(self) -> None:
        """The same."""


async def open_parts(
    url: str, key_file: str, readers: int, *, create: bool, unlock: bool, search_timeout: float
) -> Parts:
    """Sessions to read and to write. Raises DatabaseError, WrongDatabaseError."""
    keyring = Keyring(key_file)
    writer = Session(partial(connect, url, keyring))
    by_key, searching = (
        [Session(partial(connect, url, keyring, read_only=True, by_key=by_key)) for _ in range(number)]
        for by_key, number in ((True, 2), (False, readers))
    )
    sessions = [writer, *by_key, *searching]
    try:
        await writer.run(_prepare, url, key_file, create, unlock)
        # The others connect when they are first needed, and then stay.
        version = await writer.run(lambda connection: connection.raw.info.parameter_status("server_version"))
        generation = Generation(await writer.run(find_auth_generation))
    except BaseException as error:
        await asyncio.gather(*(session.close() for session in sessions))
        if isinstance(error, KeyFileError):
            raise WrongDatabaseError(str(error)) from None
        raise
    look_ups, keyed = by_key
    return Parts(
        name=f"PostgreSQL {(version or '').split(' ')[0]}",
        writer=writer,
        look_ups=look_ups,
        keyed_reads=keyed,
        searches=Searches([Reader(session, generation) for session in searching], search_timeout),
        place=Server(),
        generation=generation,
        run_reads=partial(run_together, generation=generation),
        matching=matching,
        finish=lambda _connection: None,
        release=lambda: None,
    )


def _prepare(connection: Connection, url: str, key_file: str, create: bool, unlock: bool) -> None:
    prepare(connection, url, create=create)
    if create:
        sealed.prepare(connection, shown(url), Path(key_file).parent)
    elif unlock:
        sealed.check(connection, shown(url))
