"""Wipes that need a password: requested by an administrator, or reported by the ActiveSync server."""

from postroom.app.auth.throttle import LoginSource
from postroom.app.errors import ForbiddenError, LoginFailedError
from postroom.app.services.context import Context
from postroom.app.services.session import authenticate_user
from postroom.app.transactions import devices
from postroom.app.transactions.devices import Origin, WipeReport
from postroom.storage.auth import select_account


async def check_password(context: Context, source: LoginSource, user_id: int, password: str | None) -> None:
    """Raises ForbiddenError (wrong password), ThrottledError, UnavailableError (LDAP)."""
    account = await select_account(context.database, user_id)
    try:
        if password is None or account is None:
            raise LoginFailedError
        await authenticate_user(context, source, user_id, account.username, password)
    except LoginFailedError:
        raise ForbiddenError("A wipe needs the password, which is missing or wrong") from None


async def report_wipe(
    context: Context,
    source: LoginSource,
    report: WipeReport,
    origin: Origin,
    password: str | None,
    caller_id: int | None,
) -> None:
    """Stores the report of the ActiveSync server for all the devices or none.

    A report that starts a wipe needs the password of the caller or, without a caller, of the owner. Raises
    NotFoundError, ForbiddenError, ThrottledError, UnavailableError.
    """
    agreed = None
    # Check again when the name belongs to another user by now: the password has to be that of the devices' owner.
    while (owner_id := await context.database.write(devices.report_wipe, report, origin, agreed)) is not None:
        await check_password(context, source, owner_id if caller_id is None else caller_id, password)
        agreed = owner_id
