"""Which directory counts for whom, and configuring it."""

from typing import Any

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from postroom.app.errors import InvalidError, MisconfiguredError, UnavailableError
from postroom.storage import ldap_configs
from postroom.storage.database import Database
from postroom.storage.ldap_configs import LdapConfigRow

#: Directories that are remembered. Few organisations have a configuration of their own.
_MOST_OPEN = 64


class Directories:
    """The directories in use, one per configuration. What is configured is asked of the database each time.

    Another process may change a configuration, so nobody says when one is used no more: its connections close by
    themselves, and beyond a number the one not used for longest is given up.
    """

    def __init__(self, database: Database, timeout: float, ca_file: str | None) -> None:
        self._database = database
        self._timeout = timeout
        self._ca_file = ca_file
        self._open: dict[str, Directory] = {}

    async def of_organisation(self, org_id: int | None) -> Directory:
        """The directory for an organisation's users. MisconfiguredError when there is none or it is disabled."""
        row = await ldap_configs.select_effective_ldap_config(self._database, org_id)
        if row is None or row.document.get("disabled"):
            raise MisconfiguredError("No LDAP directory is configured")
        key = repr((row.document, row.bind_pass))
        directory = self._open.pop(key, None) or self._make(row)
        self._open[key] = directory  # the last one used stands last
        if len(self._open) > _MOST_OPEN:
            # What somebody asks it just now goes on to its end.
            await self._open.pop(next(iter(self._open))).close()
        return directory

    async def configure(self, org_id: int | None, document: dict[str, Any], *, force: bool) -> None:
        """Tests a loaded `ldapConfig` against its server, then stores it. Without `bindPass` the stored one is kept.

        Raises InvalidError with the reason when the test fails; `force` stores it all the same.
        """
        given = dict(document.get("connection", {}))
        bind_pass = given.pop("bindPass", None)
        stored = await ldap_configs.select_ldap_config(self._database, org_id)
        if bind_pass is None and stored is not None:
            bind_pass = stored.bind_pass
        row = LdapConfigRow({**document, "connection": given}, bind_pass)
        if not force and not document.get("disabled"):
            await self._test(row)
        await self._database.write(ldap_configs.set_ldap_config, org_id, row)
        await self._close_unused()

    async def remove(self, org_id: int | None) -> None:
        """Removes a configuration; none there is fine."""
        await self._database.write(ldap_configs.delete_ldap_config, org_id)
        await self._close_unused()

    async def close(self) -> None:
        """Closes every connection to a directory."""
        await self._close_unused()

    async def _test(self, row: LdapConfigRow) -> None:
        directory = self._make(row)
        try:
            await directory.check()
        except UnavailableError as error:
            raise InvalidError(f"The configuration was not stored: {error.message}") from None
        finally:
            await directory.close()

    async def _close_unused(self) -> None:
        # The next use opens what is still configured again.
        directories = list(self._open.values())
        self._open.clear()
        for directory in directories:
            await directory.close()

    def _make(self, row: LdapConfigRow) -> Directory:
        return Directory(from_document(row.full()), timeout=self._timeout, ca_file=self._ca_file)
