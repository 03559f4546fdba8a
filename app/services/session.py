"""Logging in, and changing one's own password."""

from postroom.app.context import Context
from postroom.app.directory.object_id import parse_object_id
from postroom.app.errors import ForbiddenError, InvalidError, LoginFailedError
from postroom.app.passwords import check_new_password
from postroom.app.tokens import may_log_in
from postroom.storage import auth
from postroom.storage.auth import Account


async def log_in(context: Context, name: str, password: str) -> Account:
    """The account of a username or altname with its password. Raises LoginFailedError, UnavailableError (LDAP)."""
    account = await auth.select_login(context.database, name)
    matches = await verify_password(context, account, password)
    # Asked last, so that it shows neither in the answer nor in its time whether a name exists and may log in.
    if account is None or not matches or not may_log_in(account):
        raise LoginFailedError
    return account


async def verify_password(context: Context, account: Account | None, password: str) -> bool:
    """Whether it is the account's password: by a bind for users of a directory, by the stored hash for others."""
    if not password or "\0" in password:
        return False
    if account is not None and account.ldap_id is not None:
        directory = await context.directories.of_organisation(account.org_id)
        return await directory.authenticate(parse_object_id(account.ldap_id), password)
    stored = account.password if account is not None else None
    if not await context.passwords.verify(stored, password):
        return False
    if account is not None and stored is not None and context.passwords.needs_rehash(stored):
        renewed = await context.passwords.hash(password)
        await context.database.write(auth.replace_hash, account.id, stored, renewed)
    return True


async def change_password(context: Context, account: Account, old: str, new: str) -> None:
    """Sets an own password. Raises ForbiddenError (wrong old), InvalidError (the new one, or LDAP-linked)."""
    if account.ldap_id is not None:
        raise InvalidError("The password of this user is kept in LDAP and can only be changed there")
    check_new_password(new, context.config.password_min_length, "new")
    if not await verify_password(context, account, old):
        raise ForbiddenError("The old password is wrong")
    await set_password(context, account.id, new)


async def set_password(context: Context, user_id: int, password: str) -> None:
    """Stores the hash; every token of the user given out before ends."""
    hashed = await context.passwords.hash(password)
    await context.database.write(auth.set_password, user_id, hashed)
