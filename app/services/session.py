"""Logs users in and changes passwords: the caller's own and those of other users."""

from collections.abc import Callable

from postroom.app.auth.operator import Operator
from postroom.app.auth.passwords import check_new_password
from postroom.app.auth.throttle import LoginSource
from postroom.app.auth.tokens import Caller, is_active
from postroom.app.errors import ForbiddenError, InvalidError, LoginFailedError, NotFoundError
from postroom.app.services.context import Context
from postroom.app.services.logins import authenticate
from postroom.app.transactions import authority
from postroom.app.transactions.authority import Actor
from postroom.schemas.addresses import stored_form
from postroom.storage import auth
from postroom.storage.auth import Account
from postroom.storage.engine import Connection
from postroom.storage.writing import act_as


async def log_in(
    context: Context, source: LoginSource, name: str, password: str, admits: Callable[[Account], bool]
) -> Account:
    """The account with this username or altname, if the password matches and `admits` accepts the account.

    Raises LoginFailedError, ThrottledError, UnavailableError (LDAP).
    """
    account = await authenticate(
        context, source, name, password, lambda: auth.select_login(context.database, name), admits
    )
    await renew_hash(context, account, password)
    return account


async def renew_hash(context: Context, account: Account, password: str) -> None:
    """Stores a stronger hash of the password with which somebody has just logged in, if there is one."""
    if account.ldap_id is None and account.password is not None and context.passwords.needs_rehash(account.password):
        renewed = await context.passwords.hash(password, account.id)
        await context.database.write(auth.replace_hash, account.id, account.password, renewed)


async def authenticate_user(
    context: Context, source: LoginSource, user_id: int, username: str, password: str
) -> Account:
    """The account of a known user, if the password matches.

    Raises LoginFailedError, ThrottledError, UnavailableError (LDAP).
    """
    return await authenticate(
        context, source, username, password, lambda: auth.select_account(context.database, user_id), lambda _: True
    )


async def change_own_password(context: Context, source: LoginSource, caller: Caller, old: str, new: str) -> None:
    """Sets the caller's password. It ends all their logins except the one that made the request.

    Raises ForbiddenError (wrong old password), InvalidError (bad new password, or LDAP-linked), ThrottledError,
    UnauthenticatedError (the user is gone).
    """
    account = await auth.select_account(context.database, caller.user_id)
    if account is None:
        raise LoginFailedError
    _check_change(context, account, new)
    try:
        account = await authenticate_user(context, source, caller.user_id, caller.username, old)
    except LoginFailedError:
        raise ForbiddenError("The old password is wrong") from None
    await _change_password(context, account, new, caller.session_id)


async def change_password_of(context: Context, source: LoginSource, name: str, old: str, new: str) -> None:
    """Sets the password of the user with this name and old password, who needs no role. Ends all their logins.

    Raises LoginFailedError, InvalidError (bad new password, or LDAP-linked), ForbiddenError (changed meanwhile),
    ThrottledError.
    """
    account = await authenticate(
        context, source, name, old, lambda: auth.select_login(context.database, name), is_active
    )
    _check_change(context, account, new)
    act_as(means="password", actor_id=account.id, actor=account.username)
    await _change_password(context, account, new, None)


def _check_change(context: Context, account: Account, new: str) -> None:
    if account.ldap_id is not None:
        raise InvalidError("The password of this user is kept in LDAP and can only be changed there")
    check_new_password(new, context.config.password_min_length, "new")


async def _change_password(context: Context, account: Account, new: str, session_id: str | None) -> None:
    hashed = await context.passwords.hash(new, account.id)
    changed = await context.database.write(auth.change_password, account.id, account.password, hashed, session_id)
    if not changed:
        # Otherwise a thief of the old password could undo a reset that came in between.
        raise ForbiddenError("The old password is wrong")


async def reset_password(context: Context, caller: Caller, user: Account, new: str) -> None:
    """Sets another user's password.

    Raises InvalidError (the caller's own, LDAP-linked, or a bad new password), ForbiddenError (a user with more
    permissions).
    """
    if user.id == caller.user_id and not isinstance(caller, Operator):
        raise InvalidError("Your own password is changed with PUT /passwd, which asks for the old one")
    # Check first, so that no hash is computed in vain, and again within the change.
    await context.database.read(_check_reset, caller, user.id)
    check_new_password(new, context.config.password_min_length, "new")
    hashed = await context.passwords.hash(new, caller.user_id)
    await context.database.write(_reset_password, caller, user.id, hashed)


def _check_reset(connection: Connection, actor: Actor, user_id: int) -> None:
    account = auth.find_account(connection, user_id)
    if account is None:
        raise NotFoundError.of("user", user_id)
    if account.ldap_id is not None:
        raise InvalidError(f"The password of {account.username} is kept in LDAP and can only be changed there")
    authority.check_may_set_password(connection, actor, account)


def _reset_password(connection: Connection, actor: Actor, user_id: int, hashed: str) -> None:
    _check_reset(connection, actor, user_id)
    auth.set_password(connection, user_id, hashed)


async def reset_password_of(context: Context, caller: Caller, address: str, new: str) -> str:
    """Like reset_password, for the user who has the address as username or alias; returns the username.

    Raises NotFoundError also for a user whom the caller may not administer.
    """
    account = await auth.select_addressee(context.database, stored_form(address))
    # The administrator is in no domain, so not in "all domains" either.
    if account is None or not (
        (account.domain_id is not None and account.domain_id in caller.grants.write)
        or caller.grants.reset_passwords
        or account.id == caller.user_id
    ):
        raise NotFoundError.of("user", repr(address[:320]))
    await reset_password(context, caller, account, new)
    return account.username
