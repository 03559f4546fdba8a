"""Logins: begun, renewed, listed and ended."""

import uuid
from collections.abc import Callable
from typing import Any, Final

from postroom.app.auth.throttle import LoginSource
from postroom.app.auth.tokens import Caller
from postroom.app.errors import NotFoundError, UnauthenticatedError
from postroom.app.services.context import Context, time_in
from postroom.schemas.values.text import printable
from postroom.storage import sessions
from postroom.storage.auth import Account
from postroom.storage.sessions import SessionRow

#: Most sessions of one user; beyond, the one not used for longest ends.
MOST_SESSIONS: Final = 1000
#: Most characters of a program's name.
_LONGEST_AGENT: Final = 200


async def begin(context: Context, account: Account, source: LoginSource, user_agent: str) -> dict[str, str]:
    """Records a login; the response, with a token of it."""
    now = context.clock.unix()
    row = SessionRow(
        uuid.uuid4().hex, account.id, account.token_epoch, now, now, _end(context, now), source.shown[:64],
        printable(user_agent[:_LONGEST_AGENT]),
    )  # fmt: skip
    await context.database.write(sessions.insert_session, row, MOST_SESSIONS)
    # The key may have been replaced by another process.
    await context.tokens.refresh()
    return context.tokens.issue(account, row.id, context.presence.saw(account))


async def renew(context: Context, source: LoginSource, token: str, admits: Callable[[Account], bool]) -> dict[str, str]:
    """A later token of the same login, if `admits` accepts its account. Needs no throttling and no hash.

    Raises UnauthenticatedError, UnavailableError (the directory has been away for too long).
    """
    found = await context.tokens.session(token)
    account, row, now = found.account, found.row, context.clock.unix()
    if not admits(account):
        raise UnauthenticatedError("Access denied", ["A login without a role is renewed with POST /me/login"])
    seen = await context.presence.check(account, found.seen)
    context.throttle.recognise(account.username, source)
    context.tokens.uses.note_session(row.id)
    # Browsers renew with each page, but the row lasts longer than its tokens, so that this is rarely written.
    if row.expires < now + context.tokens.lifetime and not await context.database.write(
        sessions.extend_session, row.id, _end(context, now)
    ):
        raise UnauthenticatedError("Access denied", ["The login has been ended"])
    return context.tokens.issue(account, row.id, seen)


def _end(context: Context, now: int) -> int:
    lifetime = context.tokens.lifetime
    return now + lifetime + lifetime // 8 + 1


async def list_sessions(context: Context, user_id: int, current: str | None) -> dict[str, Any]:
    """The response `{"data"}` with the logins of a user that have not ended, first `current`, that of the request."""
    rows = await context.database.look_up_by(sessions.list_sessions, user_id, context.clock.unix())
    rows.sort(key=lambda row: row.id != current)
    timezone = context.config.timezone
    return {
        "data": [
            {
                "ID": row.id,
                "created": time_in(timezone, row.created),
                "lastUsed": time_in(timezone, row.last_used),
                "source": row.source,
                "userAgent": row.user_agent,
                "current": row.id == current,
            }
            for row in rows
        ]
    }


async def end_session(context: Context, caller: Caller, session_id: str) -> None:
    """Ends a login of the caller's own. Raises NotFoundError."""
    if not await context.database.write(sessions.delete_session, caller.user_id, session_id):
        raise NotFoundError.of("login", repr(session_id[:40]))


async def end_sessions(context: Context, caller: Caller, kept: str | None) -> None:
    """Ends all logins of the caller except one (None: all)."""
    await context.database.write(sessions.delete_other_sessions, caller.user_id, kept)
