"""The rules of tokens for programs: who may make, see and revoke one."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

from postroom.app.auth.permissions import Grants, Permission, covers, grants
from postroom.app.auth.tokens import make_caller, may_log_in
from postroom.app.errors import ForbiddenError, InvalidError, NotFoundError
from postroom.app.transactions import authority
from postroom.app.transactions.authority import Actor
from postroom.app.transactions.roles import check_target, read_permission
from postroom.schemas.tokens import MOST_PERMISSIONS
from postroom.storage import api_tokens, auth
from postroom.storage.api_tokens import NewToken, TokenRow
from postroom.storage.auth import Account
from postroom.storage.engine import Connection
from postroom.storage.roles import PermissionRow

#: Most tokens of one owner.
MOST_TOKENS: Final = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token that is to be made: a loaded TokenCreateSchema, the hash, and UNIX times."""

    owner_id: int
    data: Mapping[str, Any]
    hash: str
    created: int
    expires: int | None


def create_token(connection: Connection, wanted: Wanted, actor: Actor) -> TokenRow:
    """Makes a token.

    Raises InvalidError (no such owner, or one who may not log in or has too many; a permission that does not exist),
    ForbiddenError (an owner with more permissions than the actor, or a scope with more than the owner's).
    """
    owner = _find_owner(connection, wanted.owner_id, actor)
    if not may_log_in(owner):
        raise InvalidError.field("owner", f"{owner.username} may not log in, so no token could be used.")
    if api_tokens.count_tokens(connection, owner.id) >= MOST_TOKENS:
        raise InvalidError(f"The user {owner.username} has {MOST_TOKENS} tokens already; revoke one of them first")
    data = wanted.data
    given = data.get("permissions")
    if given is not None:
        scope: Sequence[PermissionRow] | None = _scope(connection, make_caller(owner).grants, given)
    elif _is_own(owner.id, actor) or authority.grants_of(connection, actor).system_write:
        scope = None
    else:
        scope = _present_permissions(owner)
    new = NewToken(
        owner.id,
        data["name"],
        wanted.hash,
        data["readOnly"],
        data["networks"],
        wanted.created,
        wanted.expires,
        scope,
    )
    token_id = api_tokens.insert_token(connection, new)
    return _found(connection, token_id)


def revoke_token(connection: Connection, token_id: int, actor: Actor) -> TokenRow:
    """Removes a token, which ends at once; returns what it was.

    Raises NotFoundError, ForbiddenError (its owner has more permissions than the actor).
    """
    row = find_visible_token(connection, token_id, actor)
    if not _is_own(row.user_id, actor):
        authority.check_may_change(connection, actor, row.user_id, row.username, "revoke their tokens")
    api_tokens.delete_token(connection, token_id)
    return row


def find_visible_token(connection: Connection, token_id: int, actor: Actor) -> TokenRow:
    """A token of the actor's, or of a user whom they may see. Raises NotFoundError."""
    row = api_tokens.find_token(connection, token_id)
    if row is None or not (_is_own(row.user_id, actor) or _sees(authority.grants_of(connection, actor), row.domain_id)):
        raise NotFoundError.of("token", token_id)
    return row


def _is_own(user_id: int, actor: Actor) -> bool:
    return actor is not None and actor.user_id == user_id


def _sees(own: Grants, domain_id: int | None) -> bool:
    # The administrator is in no domain, so not in "all domains" either.
    return own.system_read or (domain_id is not None and domain_id in own.read)


def _find_owner(connection: Connection, user_id: int, actor: Actor) -> Account:
    account = auth.find_account(connection, user_id)
    if _is_own(user_id, actor) and account is not None:
        return account
    own = authority.grants_of(connection, actor)
    if account is None or not _sees(own, account.domain_id):
        raise InvalidError.missing("owner", "user", user_id)
    if not authority.reaches(connection, own, user_id):
        raise authority.refusal(account.username, "make a token for them")
    return account


def _present_permissions(owner: Account) -> list[PermissionRow]:
    # The owner may be given more later, and whoever has made the token and may do less would get that as well.
    rows = list(dict.fromkeys(PermissionRow(*row) for row in owner.permissions or ()))
    if len(rows) > MOST_PERMISSIONS:
        raise InvalidError.field("permissions", f"{owner.username} has more than {MOST_PERMISSIONS}: say which.")
    return rows


def _scope(connection: Connection, owners: Grants, given: Sequence[Mapping[str, Any]]) -> list[PermissionRow]:
    rows = [read_permission(number, each) for number, each in enumerate(given)]
    for number, row in enumerate(rows):
        # Before it is looked for: whoever may not use a domain does not learn whether it exists.
        if not covers(owners, grants([Permission(*astuple(row))], {})):
            raise ForbiddenError(f"The owner does not have {row.permission} for this (permissions.{number})")
        check_target(connection, number, row)
    return rows


def _found(connection: Connection, token_id: int) -> TokenRow:
    row = api_tokens.find_token(connection, token_id)
    if row is None:
        raise NotFoundError.of("token", token_id)
    return row
