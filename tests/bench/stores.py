"""The databases that are measured: filled with direct SQL, and kept in a folder for the next run if asked."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from postroom.schemas.values.proptags import find
from postroom.schemas.values.text import fold
from postroom.storage import user_search
from postroom.storage.connections import connect_writer, uri_of
from postroom.storage.domains import insert_domain
from postroom.storage.engine import Connection
from postroom.storage.keyring import Keyring
from postroom.storage.migrations import latest
from tests.bench.people import Person, people

#: Users that are inserted at a time.
_CHUNK: Final = 5000
#: What they are, with the search index; the indexes and triggers of the first three are made when all rows are there.
_TABLES: Final = ("users", "addresses", "properties")
#: A user's properties, in the order of _values_of().
_PROPERTIES: Final = {
    "displayname": "text",
    "creationtime": "time",
    "displaytypeex": "integer",
    "businesstelephonenumber": "text",
}


@dataclass(frozen=True, slots=True)
class Domain:
    """A filled domain; its users have the IDs from `first_user` on, without a gap."""

    id: int
    first_user: int
    users: int

    @property
    def path(self) -> str:
        """Where its users are."""
        return f"/api/v1/domains/{self.id}/users"


@dataclass(frozen=True, slots=True)
class Store:
    """A database with domains of uneven size, in the order in which the sizes were asked for."""

    database: Path
    domains: Sequence[Domain]

    @property
    def small(self) -> Domain:
        """The first domain, which all data sets have alike."""
        return self.domains[0]

    @property
    def large(self) -> Domain:
        """The domain with the most users."""
        return max(self.domains, key=lambda domain: domain.users)


def make_store(database: Path, sizes: Sequence[int], advance: Callable[[int], None] = lambda _: None) -> Store:
    """Makes a database with a domain of each size; `advance` hears how many users were added."""
    keyring = Keyring(f"{database}.key")
    with contextlib.closing(
        connect_writer(uri_of(str(database)), str(database), keyring, create=True, unlock=True)
    ) as connection:
        # Nothing is lost that could not be made again.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "cache_size = -400000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN")
        with _without_rules(connection):
            domains = [_fill(connection, f"bench{number}.example", size, advance) for number, size in enumerate(sizes)]
        _count(connection)
        _index(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA optimize").fetchall()
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    return Store(database, domains)


def kept_store(folder: Path, name: str, sizes: Sequence[int], advance: Callable[[int], None]) -> Store:
    """The database of that name in a folder, made anew unless it is there already with these sizes.

    Raises OSError when the folder cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    database, note = folder / f"{name}.sqlite3", folder / f"{name}.json"
    made_of = {"schema": latest(), "sizes": [*sizes]}
    if note.exists():
        noted = json.loads(note.read_text("utf-8"))
        if noted["made_of"] == made_of:
            advance(sum(sizes))
            return Store(database, [Domain(**domain) for domain in noted["domains"]])
    for old in (note, database, database.with_name(f"{database.name}.key")):
        old.unlink(missing_ok=True)
    store = make_store(database, sizes, advance)
    domains = [asdict(domain) for domain in store.domains]
    note.write_text(json.dumps({"made_of": made_of, "domains": domains}), "utf-8")
    return store


def copied(store: Store, folder: Path) -> Store:
    """A copy in another folder, which a run may change."""
    for file in (store.database, store.database.with_name(f"{store.database.name}.key")):
        shutil.copy(file, folder)
    return Store(folder / store.database.name, store.domains)


@contextlib.contextmanager
def _without_rules(connection: Connection) -> Iterator[None]:
    """Without indexes and triggers, which are made anew at the end: this takes a third of the time."""
    marks = ", ".join("?" * len(_TABLES))
    rules = connection.execute(
        f"""SELECT type, name, sql FROM sqlite_master
             WHERE type IN ('index', 'trigger') AND sql IS NOT NULL AND tbl_name IN ({marks})""",
        _TABLES,
    ).fetchall()
    for kind, name, _ in rules:
        connection.execute(f"DROP {kind} {name}")
    yield
    for _, _, sql in rules:
        connection.execute(sql)


def _fill(connection: Connection, name: str, size: int, advance: Callable[[int], None]) -> Domain:
    domain_id = insert_domain(connection, name, name, {"maxUser": size})
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM users").fetchone()
    numbered = enumerate(people(size), last + 1)
    while chunk := list(islice(numbered, _CHUNK)):
        _insert(connection, domain_id, name, chunk)
        advance(len(chunk))
    return Domain(domain_id, last + 1, size)


def _insert(connection: Connection, domain_id: int, domain: str, chunk: Sequence[tuple[int, Person]]) -> None:
    connection.executemany(
        "INSERT INTO users (id, domain_id, username, status) VALUES (?, ?, ?, ?)",
        [(user_id, domain_id, f"{person.local}@{domain}", person.status) for user_id, person in chunk],
    )
    addresses = [
        (user_id, kind, f"{local}@{domain}")
        for user_id, person in chunk
        for kind, local in (("username", person.local), *(("alias", alias) for alias in person.aliases))
    ]
    connection.executemany(
        "INSERT INTO addresses (user_id, kind, address, key) VALUES (?, ?, ?, ?)",
        [(user_id, kind, address, fold(address)) for user_id, kind, address in addresses],
    )
    connection.executemany(
        """INSERT INTO properties (user_id, domain_id, tag, name, kind, value, number, folded)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [(user_id, domain_id, *values) for user_id, person in chunk for values in _values_of(person)],
    )


def _values_of(person: Person) -> Iterator[tuple[object, ...]]:
    values: tuple[str | int, ...] = (person.name, person.joined, person.displaytypeex, person.phone)
    for (name, kind), value in zip(_PROPERTIES.items(), values, strict=True):
        yield (
            *(_TAGS[name], name, kind, value),
            *((value, None) if isinstance(value, int) else (None, fold(value))),
        )


def _tag(name: str) -> int:
    proptag = find(name)
    if proptag is None:
        raise LookupError(f"There is no property {name}")
    return proptag.tag


_TAGS: Final = {name: _tag(name) for name in _PROPERTIES}


def _count(connection: Connection) -> None:
    """What the triggers of `users` and `properties` would have counted."""
    connection.execute("""
        UPDATE domains SET
            active_users = (SELECT count(*) FROM users WHERE domain_id = domains.id AND status = 0),
            inactive_users = (SELECT count(*) FROM users WHERE domain_id = domains.id AND status IN (1, 2, 3)),
            virtual_users = (SELECT count(*) FROM users WHERE domain_id = domains.id AND status IN (4, 5))""")
    connection.execute(
        """INSERT INTO display_type_counts (domain_id, status, display_type, users)
           SELECT u.domain_id, u.status, p.number, count(*) FROM properties p JOIN users u ON u.id = p.user_id
            WHERE p.tag = ? AND u.domain_id IS NOT NULL GROUP BY u.domain_id, u.status, p.number""",
        (_TAGS["displaytypeex"],),
    )


def _index(connection: Connection) -> None:
    """What the triggers of `addresses` and `properties` would have noted is due, and what the writer does then."""
    connection.execute("INSERT INTO search_due SELECT id FROM users WHERE domain_id IS NOT NULL")
    user_search.refresh(connection)
