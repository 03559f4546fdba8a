"""Fills an empty store from a seed, with the rules of the single operations, in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from postroom.app.errors import PostroomError
from postroom.app.transactions import records
from postroom.app.transactions.record_names import Place
from postroom.app.transactions.records import Moment
from postroom.schemas.seeds import MOST_USERS
from postroom.storage.engine import Connection

#: Where something stands in a seed: names of fields, and places in lists.
Path = tuple[str | int, ...]
JSON = Mapping[str, Any]

#: The domain of users who are in none.
DEFAULT_DOMAIN: Final = "example.org"


class RefusedSeedError(Exception):
    """Something in a seed breaks a rule; `reasons` are those of the operation."""

    def __init__(self, path: Path, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.path = path
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Planting:
    """What a seed is planted with: the hash of each user's password (None: there is none), the hash and the end of each
    token (None: never), and the time.
    """

    hashes: Sequence[str | None]
    #: Of each token.
    tokens: Sequence[tuple[str, int | None]]
    moment: Moment


@contextmanager
def at(*path: str | int) -> Iterator[None]:
    """Says of an error where in the seed it is. Raises RefusedSeedError."""
    try:
        yield
    except PostroomError as error:
        raise RefusedSeedError(path, error.errors or [error.message]) from error


def plant(connection: Connection, seed: JSON, planting: Planting) -> None:
    """Stores everything in a loaded SeedSchema. Raises RefusedSeedError.

    What is for all or for whole domains comes last: it would change what is stored before, or forbid it.
    """
    moment = planting.moment
    _each("organisations", seed["organisations"], lambda org, _: records.add_organisation(connection, org))
    domains = seed["domains"]
    if not domains and seed["users"]:
        domains = [{"domainname": (DEFAULT_DOMAIN, DEFAULT_DOMAIN), "maxUser": MOST_USERS}]
    _each("domains", domains, lambda domain, _: records.add_domain(connection, domain))
    _each("roles", seed["roles"], lambda role, _: records.add_role(connection, role))
    places = _each(
        "users",
        seed["users"],
        lambda user, number: records.add_user(connection, user, planting.hashes[number], moment),
    )
    # Only now, because they refer to each other.
    for number, (user, place) in enumerate(zip(seed["users"], places, strict=True)):
        _add_around(connection, number, user, place, moment)
    _each(
        "tokens",
        seed["tokens"],
        lambda token, number: records.add_token(connection, token, *planting.tokens[number], moment),
    )
    records.set_for_all(connection, seed)
    for number, org in enumerate(seed["organisations"]):
        if "ldap" in org:
            with at("organisations", number, "ldap"):
                records.set_directory(connection, org["name"], org["ldap"])
    for number, domain in enumerate(seed["domains"]):
        for field in ("createDefaults", "domainStatus"):
            if domain.get(field):
                with at("domains", number, field):
                    records.set_of_domain(connection, domain["domainname"][0], field, domain[field])


def _each(section: str, entries: Sequence[JSON], add: Callable[[JSON, int], Any]) -> list[Any]:
    added = []
    for number, entry in enumerate(entries):
        with at(section, number):
            added.append(add(entry, number))
    return added


def _add_around(connection: Connection, number: int, user: JSON, place: Place, moment: Moment) -> None:
    for name, store in records.around(connection, place, moment).items():
        if user.get(name):
            with at("users", number, name):
                store(user[name])
    for nth, device in enumerate(user["devices"]):
        with at("users", number, "devices", nth):
            records.add_device(connection, place, device, moment)
