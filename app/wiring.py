"""Builds the parts that the service and the commands share."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from postroom.app.auth.passwords import Passwords
from postroom.app.auth.throttle import Throttle
from postroom.app.auth.tokens import Tokens
from postroom.app.clock import Clock
from postroom.app.config import Config
from postroom.app.directory.servers import OpenSession, open_session
from postroom.app.metrics.catalogue import Metrics
from postroom.app.services.backups import Backups
from postroom.app.services.context import Context
from postroom.app.services.directories import Directories
from postroom.app.services.dns_check import DnsCheck
from postroom.app.services.machine import Machine
from postroom.app.services.presence import Presence
from postroom.app.services.tasks import Tasks
from postroom.app.services.units import Units
from postroom.storage import auth
from postroom.storage.database import Database
from postroom.storage.faults import WrongDatabaseError
from postroom.storage.keyring import KeyFileError, UnreadableSecretError

MakeTokens = Callable[[Database, str, int, Clock], Tokens]


@asynccontextmanager
async def opened(
    config: Config, *, create: bool = True, make_tokens: MakeTokens = Tokens, metrics: Metrics | None = None
) -> AsyncIterator[Context]:
    """The parts with the database open. Stops tasks and closes everything at the end.

    `create`: creates a missing database and migrates an old one. Commands set it to False, because a service may be
    running on the database. Raises DatabaseError, NoDatabaseError, WrongDatabaseError.
    """
    database = await Database.open(
        config.database,
        create=create,
        key_file=config.key_file,
        search_timeout=config.search_timeout,
        replicas=config.database_replicas,
    )
    async with assembled(config, database, Passwords(), Clock(), make_tokens, metrics) as context:
        yield context


@asynccontextmanager
async def assembled(
    config: Config,
    database: Database,
    passwords: Passwords,
    clock: Clock,
    make_tokens: MakeTokens = Tokens,
    metrics: Metrics | None = None,
    open_directory: OpenSession = open_session,
) -> AsyncIterator[Context]:
    """The same around an open database. Closes the database and the passwords, too. Raises WrongDatabaseError.

    `metrics`: those of the service; None: of nobody else.
    """
    metrics = metrics or Metrics()
    throttle = Throttle(config.login_failures, config.login_delay, clock.monotonic)
    directories = Directories(
        database, config.ldap_timeout, config.ldap_ca_file, config.timezone, open_directory, metrics.note_directory
    )
    presence = Presence(directories, config.ldap_grace, clock)
    tasks = Tasks(database, lambda: clock.text(config.timezone))
    machine, units = Machine(config.timezone), Units(config.timezone)
    dns = DnsCheck(config.dns_servers, config.dns_external, config.dns_timeout)
    backups = Backups(database, config, metrics.rounds.add)
    database.now = clock.now
    database.note_write = metrics.note_write
    metrics.write_queue.follow(lambda: database.waiting_writes)
    try:
        key = await _token_key(database)
        tokens = make_tokens(database, key, config.token_lifetime, clock)
        yield Context(
            config, clock, database, tokens, passwords, throttle, directories, tasks, machine, units, dns, presence,
            backups, metrics,
        )  # fmt: skip
    finally:
        for part in (backups, machine, units, dns, presence):
            await part.close()
        await tasks.close()
        await directories.close()
        passwords.close()
        await database.close()


async def _token_key(database: Database) -> str:
    try:
        return await database.write(auth.ensure_token_key)
    except (KeyFileError, UnreadableSecretError) as error:
        raise WrongDatabaseError(f"{error}. To forget what cannot be decrypted: postroom key reset") from None
