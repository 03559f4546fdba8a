"""The directory inside a server of a test, with the interface of a Slapd: both have to give the same answers."""

import base64
import re
import ssl
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

import pytest

from postroom.app.directory.servers import Session
from postroom.schemas.ldap_text import ServerAddress
from postroom.testing import MemoryDirectory
from tests.support.slapd import BASE_DN, BIND_DN, BIND_PASSWORD, PEOPLE_DN, Slapd


class MemorySlapd:
    """See Slapd. Of the settings it knows `sizelimit`, from which the bind user is exempt, as slapd's rootdn is."""

    def __init__(self, settings: Sequence[str] = ()) -> None:
        self.base_dn, self.people_dn, self.bind_dn, self.bind_password = BASE_DN, PEOPLE_DN, BIND_DN, BIND_PASSWORD
        self._directory = MemoryDirectory(BASE_DN)
        self._directory.bind_user, self._directory.bind_password = BIND_DN, BIND_PASSWORD
        self._size_limit = next((int(line.split()[1]) for line in settings if line.startswith("sizelimit")), None)
        self.url = self._directory.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left behind."""

    async def open(
        self, server: ServerAddress, context: ssl.SSLContext | None, user: str | None, password: str | None
    ) -> Session:
        """A connection to it."""
        self._directory.size_limit = None if user == BIND_DN else self._size_limit
        return await self._directory.open(server, context, user, password)

    def add(self, ldif: str) -> None:
        """Adds entries."""
        for lines in _records(ldif):
            person: dict[str, Any] = {}
            for name, value in lines:
                person.setdefault(name, []).append(value)
            (dn,) = person.pop("dn")
            person.setdefault("mail", None)
            person.setdefault("userPassword", None)
            self._directory.add({"dn": dn, **person})

    def modify(self, ldif: str) -> None:
        """Changes entries: deletes, adds and replaces attributes."""
        for (_, dn), _, *lines in _records(ldif):
            changes: dict[str, Any] = {}
            for name, value in lines:
                if name in ("delete", "replace"):
                    changes[value] = []
                elif name == "add":
                    (found,) = [each for each in self._directory.people if each["dn"] == dn]
                    changes[value] = list(found.get(value, []))
                else:
                    changes[name].append(value)
            self._directory.change(dn, changes)

    def delete(self, dn: str) -> None:
        """Removes one entry."""
        self._directory.remove(dn)

    def stop(self) -> None:
        """It goes away."""
        self._directory.away = True

    def start(self) -> None:
        """It comes back."""
        self._directory.away = False


def _records(ldif: str) -> Iterator[list[tuple[str, Any]]]:
    """(name, value) of each line of each record."""
    for record in re.split(r"\n\n+", ldif.strip()):
        found: list[tuple[str, Any]] = []
        for line in record.splitlines():
            name, separator, value = line.partition(":")
            if separator:
                found.append((name, base64.b64decode(value[1:]) if value.startswith(":") else value.strip()))
        yield found


#: For a fixture: both kinds of directory.
SERVERS: Final = [pytest.param(Slapd, id="slapd", marks=pytest.mark.slapd), pytest.param(MemorySlapd, id="memory")]
#: Either of them.
Server = Slapd | MemorySlapd
