"""Opens a PostgreSQL database for `storage.database`."""

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

from postroom.storage import engine, sealed
from postroom.storage.engine import Parts
from postroom.storage.faults import WrongDatabaseError
from postroom.storage.generation import Generation, find_auth_generation
from postroom.storage.keyring import KeyFileError, Keyring
from postroom.storage.postgresql.connection import Connection
from postroom.storage.postgresql.migrating import latest, prepare
from postroom.storage.postgresql.opening import Kind, answers, connect
from postroom.storage.postgresql.replicas import ReplicaReader
from postroom.storage.postgresql.search import matching
from postroom.storage.postgresql.sessions import Reader, Session, run_together
from postroom.storage.postgresql.watchdog import Watchdog
from postroom.storage.searches import READERS, Searches
from postroom.storage.urls import shown


class Server:
    """A server's data is where the server is."""

    def look(self) -> None:
        """Whoever asks the server finds out."""

    def check(self) -> None:
        """The same."""


async def open_parts(
    url: str, key_file: str, replicas: Sequence[str], *, create: bool, unlock: bool, search_timeout: float
) -> Parts:
    """Sessions to read and to write. Raises DatabaseError, WrongDatabaseError."""
    keyring = Keyring(key_file)

    def session(kind: Kind, host: str = url) -> Session:
        return Session(partial(connect, host, keyring, kind=kind))

    writer, look_ups, keyed = session("writer"), session("by key"), session("by key")
    searching = [session("searches") for _ in range(READERS)]
    on_replicas = [session("replica", replica) for _, replica in zip(searching, cycle(replicas), strict=False)]
    sessions = [writer, look_ups, keyed, *searching]
    watchdog = Watchdog([*sessions, *on_replicas], answers)
    try:
        await writer.run(_prepare, url, key_file, create, unlock)
        # The others connect when they are first needed, and then stay.
        version = await writer.run(lambda connection: connection.raw.info.parameter_status("server_version"))
        generation = Generation(await writer.run(find_auth_generation))
    except BaseException as error:
        await asyncio.gather(*(session.close() for session in sessions))
        watchdog.stop()
        if isinstance(error, KeyFileError):
            raise WrongDatabaseError(str(error)) from None
        raise
    readers: list[engine.Reader] = [Reader(each, generation) for each in searching]
    if replicas:
        readers = [
            ReplicaReader(Reader(replica, None), Reader(each, generation), look_ups, generation)
            for each, replica in zip(searching, on_replicas, strict=True)
        ]
    return Parts(
        name=f"PostgreSQL {(version or '').split(' ')[0]}",
        schema=latest(),
        writer=writer,
        look_ups=look_ups,
        keyed_reads=keyed,
        searches=Searches(readers, search_timeout),
        place=Server(),
        generation=generation,
        run_reads=partial(run_together, generation=generation),
        matching=matching,
        finish=lambda _connection: None,
        release=watchdog.stop,
    )


def _prepare(connection: Connection, url: str, key_file: str, create: bool, unlock: bool) -> None:
    prepare(connection, url, create=create)
    if create:
        sealed.prepare(connection, shown(url), Path(key_file).parent)
    elif unlock:
        sealed.check(connection, shown(url))
