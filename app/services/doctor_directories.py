"""Asks every server of every configured directory, as a sync would."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from postroom.app.config import Config
from postroom.app.directory.client import Directory
from postroom.app.directory.config import DirectoryConfig, from_document
from postroom.app.errors import PostroomError
from postroom.storage.checks.findings import Check, State
from postroom.storage.engine import Connection
from postroom.storage.ldap_configs import LdapConfigRow, list_ldap_configs

#: Seconds that all servers together have. They are asked at the same time.
_PATIENCE: Final = 10.0


def check(config: Config) -> Check[Connection]:
    """The check of the directories that the database has."""

    def find(connection: Connection) -> Iterator[str]:
        rows = [(org_id, row) for org_id, row in list_ldap_configs(connection) if not row.document.get("disabled")]
        for (org_id, _), reasons in zip(rows, asyncio.run(_ask([row for _, row in rows], config)), strict=True):
            where = "the default directory" if org_id is None else f"the directory of organisation {org_id}"
            yield from (f"{where}: {reason}" for reason in reasons)

    return Check(
        "Directories",
        "directory servers",
        promise="Every server of the configured directories answers",
        fault="servers of directories that cannot be used",
        find=find,
        advice="Start these servers, or correct the configuration (postroom ldap test). Users of a directory without a "
        "working server cannot log in",
        state=State.WARNING,
    )


async def _ask(rows: Sequence[LdapConfigRow], config: Config) -> Sequence[Sequence[str]]:
    return await asyncio.gather(*(_failures(row, config) for row in rows))


async def _failures(row: LdapConfigRow, config: Config) -> Sequence[str]:
    """Why servers of a directory cannot be used; each has to answer for itself."""
    if row.is_locked:
        return ["its password cannot be decrypted"]
    try:
        directory = from_document(row.full(), config.timezone)
    except PostroomError as error:
        return [error.message]
    alone = [replace(directory, servers=(server,)) for server in directory.servers]
    found = await asyncio.gather(*(_failure(each, config) for each in alone))
    return [reason for reason in found if reason is not None]


async def _failure(directory: DirectoryConfig, config: Config) -> str | None:
    try:
        client = Directory(directory, timeout=min(config.ldap_timeout, _PATIENCE), ca_file=config.ldap_ca_file)
        try:
            await client.check()
        finally:
            await client.close()
    except PostroomError as error:
        return error.message
    return None
