"""Makes tokens for programs, and shows them."""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from postroom.app.auth.api_tokens import hash_of, make_text
from postroom.app.auth.tokens import Caller
from postroom.app.errors import InvalidError
from postroom.app.services.context import Context, time_in
from postroom.app.transactions import api_tokens
from postroom.app.transactions.api_tokens import Wanted
from postroom.app.transactions.authority import Actor
from postroom.schemas.roles import EVERYTHING
from postroom.storage import api_tokens as api_token_rows
from postroom.storage.api_tokens import Seen, TokenRow, select_tokens
from postroom.storage.roles import PermissionRow

#: Seconds that a token lasts if nobody says how long, and that one may last if anybody does.
LASTS: Final = 365 * 24 * 3600
LONGEST: Final = 10 * LASTS


async def create_token(context: Context, data: Mapping[str, Any], owner_id: int, actor: Actor) -> dict[str, Any]:
    """Makes a token of a loaded TokenCreateSchema; the document, with the text that is shown this once.

    Raises InvalidError, ForbiddenError.
    """
    now, text = context.clock.unix(), make_text()
    expires = expiry(data, now, context.config.timezone)
    wanted = Wanted(owner_id, data, hash_of(text), now, expires)
    row = await context.database.write(api_tokens.create_token, wanted, actor)
    return {**document(row, context.config.timezone), "token": text}


def expiry(data: Mapping[str, Any], now: int, timezone: tzinfo) -> int | None:
    """When a token of a loaded TokenCreateSchema ends; None: never. Raises InvalidError."""
    if "expires" not in data:
        return now + LASTS
    if data["expires"] is None:
        return None
    expires = int(datetime.fromisoformat(data["expires"]).replace(tzinfo=timezone).timestamp())
    if expires <= now:
        raise InvalidError.field("expires", "Lies in the past.")
    if expires > now + LONGEST:
        raise InvalidError.field("expires", "More than ten years from now; null means never.")
    return expires


async def list_tokens(context: Context, caller: Caller, owner: int | None, limit: int, offset: int) -> dict[str, Any]:
    """The response `{"count", "data"}`: the caller's own tokens, and those of users whom they may see."""
    grants = caller.grants
    seen = Seen(grants.system_read, caller.user_id, sorted(grants.read.ids), grants.read.everything)
    count, rows = await select_tokens(context.database, seen, owner, limit, offset, caller=caller.user_id)
    return {"count": count, "data": [document(row, context.config.timezone) for row in rows]}


async def all_tokens(context: Context, owner: int | None) -> list[dict[str, Any]]:
    """All tokens, or those of one owner: for the owner of the machine."""
    rows = await context.database.read(api_token_rows.list_tokens, owner)
    return [document(row, context.config.timezone) for row in rows]


async def revoke_token(context: Context, token_id: int, actor: Actor) -> str:
    """Revokes a token; returns a sentence about it. Raises NotFoundError, ForbiddenError."""
    row = await context.database.write(api_tokens.revoke_token, token_id, actor)
    return f"The token {row.name} of {row.username} has been revoked"


def document(row: TokenRow, timezone: tzinfo) -> dict[str, Any]:
    """A token in the format of the API."""
    return {
        "ID": row.id,
        "name": row.name,
        "owner": {"ID": row.user_id, "username": row.username},
        "permissions": [_permission(each) for each in row.permissions] if row.scoped else None,
        "readOnly": row.read_only,
        "networks": list(row.networks),
        "created": time_in(timezone, row.created),
        "expires": None if row.expires is None else time_in(timezone, row.expires),
        "lastUsed": None if row.last_used is None else time_in(timezone, row.last_used),
        "lastSource": row.last_source or None,
    }


def _permission(row: PermissionRow) -> dict[str, Any]:
    target = row.org_id if row.domain_id is None else row.domain_id
    return {"permission": row.permission, "params": EVERYTHING if row.everything else target}
