"""Checks passwords. Every login and every password prompt comes through here.

A failure reveals no reason. An unknown name, a wrong password, a suspended user, a user without a role and a user whose
password is in a directory all get the same error, after the same work, in the same time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from postroom.app.auth.throttle import LoginSource
from postroom.app.auth.tokens import ADMIN_ID
from postroom.app.directory.client import Directory
from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import InvalidError, LoginFailedError, PostroomError, UnavailableError
from postroom.app.services.context import Context
from postroom.schemas.authmgr import ALWAYS_LDAP, ALWAYS_MYSQL, EXTERNID
from postroom.storage import auth
from postroom.storage.auth import Account
from postroom.storage.database import Database

log = logging.getLogger("postroom.logins")


async def selected_backend(database: Database) -> str:
    """The backend that checks logins: one setting for every process on the database."""
    return await auth.select_setting(database, auth.AUTH_BACKEND) or EXTERNID


async def authenticate(
    context: Context,
    source: LoginSource,
    name: str,
    password: str,
    find: Callable[[], Awaitable[Account | None]],
    admits: Callable[[Account], bool],
    *,
    repeated: bool = False,
) -> Account:
    """The account that `find` returns, if the password matches and `admits` accepts the account.

    `repeated`: of a program that logs in often; its right password is not computed each time.
    Raises LoginFailedError, ThrottledError, and UnavailableError when a directory that could know the name is away.
    """
    with context.metrics.login("password"):
        return await _authenticate(context, source, name, password, find, admits, repeated=repeated)


async def _authenticate(
    context: Context,
    source: LoginSource,
    name: str,
    password: str,
    find: Callable[[], Awaitable[Account | None]],
    admits: Callable[[Account], bool],
    *,
    repeated: bool,
) -> Account:
    # A throttled caller does not even queue.
    context.throttle.check(name, source)
    async with AsyncExitStack() as stack:
        async with context.passwords.turn(source.key):
            # Check the limit only now, when the results of earlier attempts are known.
            tried = stack.enter_context(context.throttle.attempt(name, source))
            started = asyncio.get_running_loop().time()
            backend = await selected_backend(context.database)
            account = await find()
            verify = context.passwords.verify_repeated if repeated else context.passwords.verify
            matches = await verify(_stored_hash(account, backend), password)
            # Check this last: neither the response nor its timing may reveal whether the name exists and is active.
            tried.matched = matches and account is not None and admits(account)
        if not tried.matched and backend != ALWAYS_MYSQL:
            try:
                known = await _ask_directories(context, source, name, account, password)
            except PostroomError:
                await _level(started, context.passwords.failure_step)
                raise
            tried.matched = known and account is not None and admits(account)
        if account is None or not tried.matched:
            await _level(started, context.passwords.failure_step)
            raise LoginFailedError
        return account


def _stored_hash(account: Account | None, backend: str) -> str | None:
    """The hash to check the password against. None selects the dummy hash: same time, never a match."""
    if account is None or (account.ldap_id is not None and backend != ALWAYS_MYSQL):
        return None
    # The administrator is in no directory, and can log in whatever is configured.
    if backend == ALWAYS_LDAP and account.id != ADMIN_ID:
        return None
    return account.password


async def _ask_directories(
    context: Context, source: LoginSource, name: str, account: Account | None, password: str
) -> bool:
    """Whether the password is that of a linked account. Raises UnavailableError.

    Every directory that could know the name is asked, if need be about nobody, so that neither its answer nor its
    outage reveals who is linked.
    """
    own, object_id = None, None
    if account is not None and account.ldap_id is not None:
        own, object_id = await _directory_of(context, account), parse_object_id(account.ldap_id)
    others: list[Directory] = []
    failure = None
    try:
        others = [each for each in await context.directories.of_name(name) if each is not own]
    except UnavailableError as error:
        # Raised below: it must not lock out a user whose own directory answers.
        failure = _unchecked(error)
    asked = [asyncio.ensure_future(_ask(each, source, None, password)) for each in others]
    try:
        if own is not None and await _ask(own, source, object_id, password):
            return True
        if failure is not None:
            raise failure
        for each in asked:
            await each
        return False
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _directory_of(context: Context, account: Account) -> Directory | None:
    try:
        return await context.directories.of_organisation(account.org_id)
    except UnavailableError as error:
        # An unknown name could not be checked either, so this is an ordinary failed login.
        log.warning("%s cannot log in: %s", account.username, error.message)
        return None


async def _ask(directory: Directory, source: LoginSource, object_id: bytes | None, password: str) -> bool:
    try:
        return await directory.authenticate(object_id, password, source.key)
    except UnavailableError as error:
        raise _unchecked(error) from None
    except InvalidError as error:
        log.warning("A login cannot be checked: %s", error.message)
        return False


def _unchecked(error: UnavailableError) -> UnavailableError:
    """The error for the client when a directory cannot be asked. The reason goes into the log only."""
    log.warning("A login cannot be checked: %s", error.message)
    return UnavailableError("Logins cannot be checked at the moment; try again later")


async def _level(started: float, step: float) -> None:
    """Waits for the next whole step."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(-(now - started) % step)
