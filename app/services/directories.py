"""Finds, opens and configures the LDAP directory of an organisation."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import Any

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from postroom.app.directory.notes import Note, note_nothing
from postroom.app.directory.servers import OpenSession, open_session
from postroom.app.errors import (
    ConflictError,
    InvalidError,
    MisconfiguredError,
    NotFoundError,
    PostroomError,
    UnavailableError,
)
from postroom.schemas.addresses import domain_part
from postroom.schemas.ldap_text import server_addresses
from postroom.storage import ldap_configs, orgs
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.ldap_configs import LdapConfigRow

log = logging.getLogger("postroom.ldap")

#: Directories kept open at most. Few organisations have a configuration of their own.
_MOST_OPEN = 64
#: Time limit for checking whether the server of a configuration answers, in seconds.
_PROBE_TIMEOUT = 2.0


class Directories:
    """The directories in use, one per configuration. Each use reads the configuration from the database.

    Another process may change a configuration, and this one is not told. So unused connections close by themselves, and
    beyond a maximum number the least recently used directory is closed.

    `timeout` limits each request to a directory, in seconds. Times of the directory are converted to `timezone`.
    `opener` connects to a server, `note` hears of each request to one.
    """

    def __init__(
        self,
        database: Database,
        timeout: float,
        ca_file: str | None,
        timezone: tzinfo,
        opener: OpenSession = open_session,
        note: Note = note_nothing,
    ) -> None:
        self._database = database
        self._timeout = timeout
        self._ca_file = ca_file
        self._timezone = timezone
        self._note = note
        self._opener = opener
        self._open: dict[str, Directory] = {}
        self._probes: dict[str, asyncio.Task[bool]] = {}

    async def of_organisation(self, org_id: int | None) -> Directory:
        """The directory for an organisation's users. Raises MisconfiguredError when none can be used."""
        row = await ldap_configs.select_effective_ldap_config(self._database, org_id)
        if row is None or row.document.get("disabled"):
            raise MisconfiguredError("No LDAP directory is configured")
        return await self._opened(row)

    async def of_name(self, name: str) -> list[Directory]:
        """The directories that could know a name, whether or not a user has it: the one of the name's domain, or all of
        them for a name without a domain.
        """
        rows = await ldap_configs.select_ldap_configs_of_name(self._database, domain_part(name))
        return [await self._opened(row) for row in rows if not row.document.get("disabled")]

    async def _opened(self, row: LdapConfigRow) -> Directory:
        key = _key(row)
        directory = self._open.pop(key, None) or self._make(row, self._timeout)
        self._open[key] = directory  # most recently used last
        if len(self._open) > _MOST_OPEN:
            # Requests in flight still complete.
            await self._open.pop(next(iter(self._open))).close()
        return directory

    async def answers(self, row: LdapConfigRow) -> bool:
        """Whether the server of an enabled configuration answers now. Takes two seconds at most.

        Concurrent callers share one check. Never raises: a configuration can be read, and corrected, whatever is wrong
        with it.
        """
        if row.document.get("disabled"):
            return False
        key = _key(row)
        probe = self._probes.get(key)
        if probe is None:
            probe = self._probes[key] = asyncio.create_task(self._probe(row))
            probe.add_done_callback(lambda _: self._probes.pop(key))
        return await asyncio.shield(probe)

    async def configure(self, org_id: int | None, document: dict[str, Any], *, force: bool) -> None:
        """Tests a loaded `ldapConfig` against its server, then stores it. Without `bindPass` the stored one is kept.

        `force` skips the test. Raises InvalidError when the stored password would go to another server or user, or when
        the test fails (with the reason); ConflictError when the stored configuration has changed during the test;
        NotFoundError (organisation).
        """
        before = await ldap_configs.select_ldap_config(self._database, org_id)
        tested = not force and not document.get("disabled")
        if tested:
            await self._test(_with_password(document, before))
        # Also when the caller goes away: connections with the old password have to be closed.
        await asyncio.shield(self._change(_store, org_id, document, before, tested))

    async def remove(self, org_id: int | None) -> None:
        """Removes a configuration. It is no error if there is none."""
        await asyncio.shield(self._change(ldap_configs.delete_ldap_config, org_id))

    async def _change(self, write: Callable[..., object], *args: object) -> None:
        await self._database.write(write, *args)
        await self._close_unused()

    async def close(self) -> None:
        """Closes every connection to a directory."""
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        await self._close_unused()

    async def _probe(self, row: LdapConfigRow) -> bool:
        try:
            # A new connection: an open one may be older than the server's outage.
            await self._check(row, min(self._timeout, _PROBE_TIMEOUT))
        except PostroomError:
            return False
        except Exception:
            log.exception("The configured directory cannot be checked")
            return False
        return True

    async def _test(self, row: LdapConfigRow) -> None:
        try:
            await self._check(row, self._timeout)
        except UnavailableError as error:
            raise InvalidError(f"The configuration was not stored: {error.message}") from None

    async def _check(self, row: LdapConfigRow, seconds: float) -> None:
        directory = self._make(row, seconds)
        try:
            await directory.check()
        finally:
            await directory.close()

    async def _close_unused(self) -> None:
        # The next use reopens a directory that is still configured.
        directories = list(self._open.values())
        self._open.clear()
        for directory in directories:
            await directory.close()

    def _make(self, row: LdapConfigRow, seconds: float) -> Directory:
        if row.is_locked:
            raise MisconfiguredError(
                "The stored password of the directory cannot be decrypted; it has to be given again"
            )
        config = from_document(row.full(), self._timezone)
        try:
            return Directory(config, timeout=seconds, ca_file=self._ca_file, opener=self._opener, note=self._note)
        except InvalidError:
            # The file was readable at startup. The caller made no mistake, and does not need to know the path.
            raise MisconfiguredError("The certificates of POSTROOM_LDAP_CA_FILE cannot be read") from None


def _key(row: LdapConfigRow) -> str:
    return repr((row.document, row.bind_pass))


def _store(
    connection: Connection,
    org_id: int | None,
    document: Mapping[str, Any],
    before: LdapConfigRow | None,
    tested: bool,
) -> None:
    if org_id is not None and not orgs.is_org(connection, org_id):
        raise NotFoundError.of("organisation", org_id)
    current = ldap_configs.find_ldap_config(connection, org_id)
    row = _with_password(document, current)
    # Somebody may have stored another configuration during the test. An identical one is no conflict.
    if tested and current not in (before, row):
        raise ConflictError(
            "While this LDAP configuration was being tested, somebody else changed the stored one. This one was not "
            "stored: review the stored one, or set force=true"
        )
    ldap_configs.set_ldap_config(connection, org_id, row)


def _with_password(document: Mapping[str, Any], stored: LdapConfigRow | None) -> LdapConfigRow:
    """The configuration with its own password, or else with the stored one.

    Raises InvalidError when the stored one would be used for another server, another kind of connection or another
    user.
    """
    given = dict(document["connection"])
    bind_pass = given.pop("bindPass", None)
    if bind_pass is None and stored is not None and stored.is_locked:
        raise InvalidError.field("connection.bindPass", "The stored one cannot be decrypted any more: give it again.")
    # Without a user the bind is anonymous and needs no password.
    if bind_pass is None and "bindUser" in given and stored is not None and stored.bind_pass is not None:
        _check_destination(given, stored.document["connection"])
        bind_pass = stored.bind_pass
    return LdapConfigRow({**document, "connection": given}, bind_pass)


def _check_destination(given: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    changed = [name for name in ("bindUser", "starttls") if (given.get(name) or None) != (stored.get(name) or None)]
    # A subset of the stored servers already knows the password. A URL includes the port and whether TLS is used.
    if not _servers(given) <= _servers(stored):
        changed.append("server")
    if changed:
        names = ", ".join(f"connection.{name}" for name in sorted(changed))
        raise InvalidError.field("connection.bindPass", f"The password is needed again when {names} changes.")


def _servers(connection: Mapping[str, Any]) -> set[str]:
    return {server.url for server in server_addresses(connection["server"])}
