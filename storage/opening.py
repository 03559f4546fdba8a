"""Opens a database, whichever engine it is for."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from postroom.storage import sqlite
from postroom.storage.claim import Claim
from postroom.storage.connections import IN_MEMORY, connect, prepare_file
from postroom.storage.engine import Connection, Parts
from postroom.storage.faults import WrongDatabaseError
from postroom.storage.generation import Generation, find_auth_generation
from postroom.storage.keyring import Keyring, key_file_of
from postroom.storage.lanes import Job, Outcomes, run_reads
from postroom.storage.migrations import latest
from postroom.storage.presence import Identity, Presence, identity_of
from postroom.storage.searches import READERS, Reader, Searches
from postroom.storage.urls import is_url
from postroom.storage.user_search import matching

#: What is missing when the driver cannot be imported.
NO_POSTGRESQL: Final = "PostgreSQL needs another package: pip install 'postroom[postgresql]'"


def identity(database: str) -> Identity:
    """Which database this leads to at the moment; None when it leads nowhere. A server sees to its own."""
    return (0, 0) if is_url(database) else identity_of(database)


async def open_parts(
    name: str, key_file: str | None, replicas: Sequence[str], *, create: bool, unlock: bool, search_timeout: float
) -> Parts:
    """What `Database.open` opens; it says what the arguments mean and what this raises."""
    if not is_url(name):
        return await _open_file(name, key_file, create=create, unlock=unlock, search_timeout=search_timeout)
    try:
        from postroom.storage.postgresql import parts
    except ImportError:
        raise WrongDatabaseError(NO_POSTGRESQL) from None
    if key_file is None:
        raise WrongDatabaseError(
            "With PostgreSQL, POSTROOM_KEY_FILE has to name the file with the keys of stored secrets, "
            "which is the same on all nodes"
        )
    return await parts.open_parts(name, key_file, replicas, create=create, unlock=unlock, search_timeout=search_timeout)


async def _open_file(path: str, key_file: str | None, *, create: bool, unlock: bool, search_timeout: float) -> Parts:
    prepare_file(path, create=create)
    claim = Claim(path, in_memory=path == IN_MEMORY)
    keyring = Keyring(key_file if path == IN_MEMORY else key_file_of(path, key_file))
    there = identity_of(path)
    try:
        connections, raw = await connect(path, keyring, 2 + READERS, create=create, unlock=unlock)
        generation = Generation(await connections[0].run(find_auth_generation))
    except BaseException:
        claim.release()
        raise
    readers = [Reader(*both, generation) for both in zip(connections[3:], raw[3:], strict=True)]
    return Parts(
        name=f"SQLite {sqlite.VERSION}",
        schema=latest(),
        writer=connections[0],
        look_ups=connections[1],
        keyed_reads=connections[2],
        searches=Searches(readers, search_timeout),
        place=Presence(path, there),
        generation=generation,
        run_reads=partial(look_and_read, generation=generation),
        matching=matching,
        finish=_optimize,
        release=claim.release,
    )


def look_and_read(connection: Connection, batch: list[Job], generation: Generation) -> Outcomes:
    """Runs reads that wait at the same time, after a look at the generation."""
    # One read transaction for all of them: each of its own would take 2 µs more, a fifth of a read by key.
    connection.execute("BEGIN")
    try:
        generation.look(connection)
        return run_reads(connection, batch)
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")


def _optimize(connection: Connection) -> None:
    connection.execute("PRAGMA optimize").fetchall()
