"""Creating many users with one bulk request: how fast, and who is disturbed by it."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from postroom.storage import user_search
from postroom.storage.connections import connect_writer, uri_of
from postroom.storage.domains import insert_domain
from postroom.storage.keyring import Keyring
from postroom.storage.sqlite import sqlite3
from tests.bench.bench import Measurements, Run
from tests.bench.client import call, log_in
from tests.bench.meanwhile import going_on
from tests.bench.people import people
from tests.bench.results import Result
from tests.bench.servers import CLIENT_CORE, SERVER_CORE, BrokenRunError, Server, on_core, postroom
from tests.bench.wrk import Load, percentile_99

NAMES = ["bulk-create", "bulk-reads", "bulk-memory"]

_FEWEST = 0.35
_MOST_DISTURBED = 4
_MOST_MEBIBYTES = 16
_DOMAIN = "example.com"
_MOST_USERS = 10_000_000
#: Of no password; its costs are those of our own.
_HASH = "$argon2id$v=19$m=19456,t=2,p=1$lKPkGaeXzNLKBx69WY/Ycw$ghZR++HhaQa7louYyGfbjjQjJBnUUZ8igrPRz1BC9KA"
#: Seconds without a byte of the response.
_PATIENCE = 60
#: Connections that read meanwhile: a service that is not overloaded.
_READERS = 4
_LINES_AT_ONCE = 200
_TABLES = ("users", "addresses", "properties")


def measurements(run: Run) -> Measurements:
    """Each by itself."""
    count = 2_000 if run.quick else 20_000
    yield "bulk-create", partial(_create, run.folder, count, run.rounds)
    yield "bulk-reads", partial(_reads, run.folder, run.seconds)
    yield "bulk-memory", partial(_memory, run.folder, count)


def _create(folder: Path, count: int, times: int) -> Result:
    rounds = [_create_both(folder / f"bulk-{number}.sqlite3", count) for number in range(times)]
    measured, reference = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    return Result(
        "bulk-create",
        f"creating {count:,} users with hashes in one request",
        "/s",
        measured,
        against="the same rows by sqlite3, one transaction",
        reference=reference,
    ).at_least_times(_FEWEST)


def _create_both(database: Path, count: int) -> tuple[float, float]:
    """Users a second by the service, and by the module sqlite3 into a database of the same schema."""
    with empty_server(database) as (server, token):
        began = time.perf_counter()
        create(server, token, lines(count))
        seconds = time.perf_counter() - began
    with on_core(SERVER_CORE):
        return count / seconds, count / _insert(database)


def _insert(source: Path) -> float:
    """Seconds in which the rows of a database are inserted into a new one, in one transaction, and the search index."""
    with closing(sqlite3.connect(source)) as connection:
        rows = {table: _rows(connection, table) for table in _TABLES}
    copy = source.with_suffix(".copy")
    keyring = Keyring(f"{copy}.key")
    with closing(connect_writer(uri_of(str(copy)), str(copy), keyring, create=True, unlock=True)) as connection:
        insert_domain(connection, _DOMAIN, _DOMAIN, {"maxUser": _MOST_USERS})
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for table, (columns, values) in rows.items():
            marks = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
        user_search.refresh(connection)
        connection.execute("COMMIT")
        return time.perf_counter() - began


def _rows(connection: sqlite3.Connection, table: str) -> tuple[list[str], Sequence[Any]]:
    columns = [name for _, name, *_, hidden in connection.execute(f"PRAGMA table_xinfo({table})") if not hidden]
    condition = "domain_id IS NOT NULL" if table == "users" else "user_id > 0"
    return columns, connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {condition}").fetchall()


def _reads(folder: Path, seconds: int) -> Result:
    undisturbed, disturbed = [], []
    with empty_server(folder / "bulk-reads.sqlite3") as (server, token):
        create(server, token, lines(100))
        load = Load(f"{server.url}/api/v1/domains/1/users/50", {"Authorization": f"Bearer {token}"}, _READERS)
        for number in range(3):
            undisturbed.append(percentile_99(load, seconds))
            with going_on(partial(_create_on, server, token, f"r{number}.")):
                disturbed.append(percentile_99(load, seconds))
    measured, reference = statistics.median(disturbed), statistics.median(undisturbed)
    return Result(
        "bulk-reads",
        "99 % of reads during a bulk request",
        "ms",
        measured,
        against="the same, undisturbed",
        reference=reference,
    ).at_most_times(_MOST_DISTURBED)


def _memory(folder: Path, few: int) -> Result:
    reference, measured = (_growth(folder / f"bulk-memory-{count}.sqlite3", count) for count in (few, 4 * few))
    return Result(
        "bulk-memory",
        f"peak over rest, {4 * few:,} users",
        "MiB",
        measured,
        against=f"{few:,} users",
        reference=reference,
        wanted=f"≤ {_MOST_MEBIBYTES} MiB more",
        reached=measured <= reference + _MOST_MEBIBYTES,
    )


def _growth(database: Path, count: int) -> float:
    with empty_server(database) as (server, token):
        before = server.resident_mebibytes()
        server.forget_peak()
        create(server, token, lines(count))
        return server.peak_mebibytes() - before


def _create_on(server: Server, token: str, prefix: str, stop: threading.Event) -> None:
    """Creates users until the event is set."""
    with on_core(CLIENT_CORE):
        create(server, token, takewhile(lambda _: not stop.is_set(), lines(_MOST_USERS, prefix)))


@contextmanager
def empty_server(database: Path, *, domain: bool = True) -> Iterator[tuple[Server, str]]:
    """A service on a new database, which has nothing but a domain without users; and the token of a login."""
    with on_core(CLIENT_CORE), postroom(database) as server:
        token = log_in(server.url)
        if domain:
            given = {"domainname": _DOMAIN, "maxUser": _MOST_USERS}
            call(server.url, token, "POST", "/api/v1/system/domains", given)
        yield server, token


def lines(count: int, prefix: str = "") -> Iterator[bytes]:
    """Made-up people, each as a line that creates them; as many together as a client reads from a file at once."""
    each = _lines(count, prefix)
    while block := b"".join(islice(each, _LINES_AT_ONCE)):
        yield block


def _lines(count: int, prefix: str) -> Iterator[bytes]:
    for person in people(count):
        fields = {
            "username": prefix + person.local,
            "passwordHash": _HASH,
            "aliases": [f"{prefix}{alias}@{_DOMAIN}" for alias in person.aliases],
            "properties": {"displayname": person.name, "businesstelephonenumber": person.phone},
        }
        yield json.dumps({"create": fields}).encode() + b"\n"


def create(server: Server, token: str, body: Iterator[bytes]) -> None:
    """Sends the lines, and raises BrokenRunError unless all of them are done."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    try:
        connection.request("POST", "/api/v1/domains/1/users/bulk", body, headers, encode_chunked=True)
        response = connection.getresponse()
        end = json.loads(response.read().splitlines()[-1])
    except OSError as error:
        raise BrokenRunError(f"The bulk request failed: {error}") from None
    finally:
        connection.close()
    if end["status"] != 200 or end["refused"]:
        raise BrokenRunError(f"The bulk request ended with {end}")
