"""The database that is measured: a small domain and a large one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from postroom.schemas.values.proptags import PropTag, Value, find
from postroom.storage.database import Database
from postroom.storage.domains import insert_domain
from postroom.storage.properties import write_properties
from postroom.storage.sqlite import sqlite3
from postroom.storage.users import insert_address, insert_user
from tests.bench.people import Person, people

#: Users in one transaction.
_CHUNK = 5000


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


async def fill(path: str, sizes: Sequence[int], advance: Callable[[int], None]) -> list[Domain]:
    """Makes the database at `path` with a domain of each size; `advance` hears how many users were added."""
    database = await Database.open(path)
    try:
        return [
            await _fill_domain(database, f"bench{number}.example", size, advance) for number, size in enumerate(sizes)
        ]
    finally:
        await database.close()


async def _fill_domain(database: Database, name: str, size: int, advance: Callable[[int], None]) -> Domain:
    domain_id = await database.write(insert_domain, name, name, {"maxUser": size})
    remaining = people(size)
    ids: list[int] = []
    while chunk := list(islice(remaining, _CHUNK)):
        ids += await database.write(_insert_people, domain_id, name, chunk)
        advance(len(chunk))
    return Domain(domain_id, ids[0] if ids else 0, len(ids))


def _insert_people(connection: sqlite3.Connection, domain_id: int, domain: str, chunk: list[Person]) -> list[int]:
    return [_insert_person(connection, domain_id, domain, person) for person in chunk]


def _insert_person(connection: sqlite3.Connection, domain_id: int, domain: str, person: Person) -> int:
    user_id = insert_user(connection, domain_id, f"{person.local}@{domain}", None)
    for alias in person.aliases:
        insert_address(connection, user_id, "alias", f"{alias}@{domain}")
    properties: dict[PropTag, Value] = {
        _proptag("displayname"): person.name,
        _proptag("creationtime"): person.joined,
        _proptag("displaytypeex"): 0,
        _proptag("businesstelephonenumber"): person.phone,
    }
    write_properties(connection, user_id, properties)
    return user_id


def _proptag(name: str) -> PropTag:
    proptag = find(name)
    if proptag is None:
        raise LookupError(f"There is no property {name}")
    return proptag
