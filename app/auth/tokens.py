"""Tokens: signed on login, checked from memory, and worth nothing at once when what they say is no longer so."""

import base64
import hashlib
import time
import uuid
from dataclasses import dataclass, replace
from typing import NamedTuple

import jwt

from postroom.app.auth import permissions
from postroom.app.auth.permissions import Grants, Permission
from postroom.app.errors import UnauthenticatedError
from postroom.app.limits.memory import remember
from postroom.storage.auth import Account, find_account, select_account
from postroom.storage.database import Database
from postroom.storage.sqlite import sqlite3

ADMIN_ID = 0
_ALGORITHM = "HS256"
#: Tokens remembered at a time; beyond, the oldest makes room.
_REMEMBERED = 10_000
#: Characters of a token. Those made here have about 250; spelt otherwise, one may be as long as a header.
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and what they may do."""

    user_id: int
    username: str
    grants: Grants
    #: Of the token that the request was made with.
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """What a token says: whose it is, its ID, when it expires, when a directory was last seen to have the user."""

    account: Account
    id: str | None
    #: UNIX times; `seen` is 0 for users of no directory, and in tokens of older versions.
    expires: float
    seen: float


class _Claims(NamedTuple):
    """What stands in a token: `expires` and `seen` as in Session."""

    user_id: int
    epoch: int
    session_id: str | None
    expires: float
    seen: float


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    expires: float


def is_active(account: Account) -> bool:
    """Whether the account's password is good for anything: the status is normal, and the domain is in use."""
    return account.id == ADMIN_ID or (account.status == 0 and account.domain_status == 0)


def may_log_in(account: Account) -> bool:
    """The administrator always may; others with a role, while they are active."""
    return account.id == ADMIN_ID or (is_active(account) and account.permissions is not None)


def csrf_token(token: str) -> str:
    """What the header X-Csrf-Token must be for a token in a cookie: base64 of its SHA3-256."""
    return base64.b64encode(hashlib.sha3_256(token.encode()).digest()).decode()


class Tokens:
    """Issues and checks tokens. The key stays the same over restarts; `lifetime` is in seconds."""

    def __init__(self, database: Database, key: str, lifetime: int) -> None:
        self._database = database
        self._key = key
        self._lifetime = lifetime
        self._known: dict[str, _Known] = {}
        self._generation = 0

    def use_key(self, key: str) -> None:
        """Signs and checks with this key from now on; tokens signed with another are worth nothing."""
        if key != self._key:
            self._key = key
            self._known.clear()

    def issue(self, account: Account, seen: float | None = None) -> dict[str, str]:
        """The answer to a login: the token, and what X-Csrf-Token has to be with it.

        `seen`: the UNIX time at which the directory had the user last; None for users of no directory.
        """
        now = int(time.time())
        claims: dict[str, object] = {
            "sub": str(account.id),
            "epoch": account.token_epoch,
            "iat": now,
            "exp": now + self._lifetime,
            "jti": uuid.uuid4().hex,
        }
        if seen is not None:
            claims["seen"] = int(seen)
        token = jwt.encode(claims, self._key, _ALGORITHM)
        return {"grommunioAuthJwt": token, "csrf": csrf_token(token)}

    async def caller(self, token: str) -> Caller:
        """Whose token it is. From memory, without a look into the database, unless something changed meanwhile.

        Raises UnauthenticatedError when it does not count (any more).
        """
        generation = self._database.generation.value
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        known = self._known.get(token)
        if known is None:
            known = await self._check(token)
            # Whatever changed while the account was read must not be remembered as if it were new.
            if self._database.generation.value == generation == self._generation:
                remember(self._known, token, known, _REMEMBERED)
        if known.expires <= time.time():
            self._known.pop(token, None)
            raise UnauthenticatedError("Access denied", ["The login has expired"])
        return known.caller

    async def session(self, token: str) -> Session:
        """What is behind a token that counts. Raises UnauthenticatedError otherwise."""
        claims, key = self._read(token), self._key
        account = _counting(await select_account(self._database, claims.user_id), claims)
        if key != self._key:  # another one counts since then
            raise UnauthenticatedError("Access denied", ["The login has been revoked"])
        return Session(account, claims.session_id, claims.expires, claims.seen)

    async def _check(self, token: str) -> _Known:
        session = await self.session(token)
        return _Known(replace(make_caller(session.account), session_id=session.id), session.expires)

    def caller_inside(self, connection: sqlite3.Connection, token: str) -> Caller:
        """Whose token it is as it stands inside a transaction. Raises UnauthenticatedError when it does not count."""
        claims = self._read(token)
        account = _counting(find_account(connection, claims.user_id), claims)
        return replace(make_caller(account), session_id=claims.session_id)

    def _read(self, token: str) -> _Claims:
        """What a token of ours says. Raises UnauthenticatedError for any other."""
        if len(token) > _LONGEST:
            raise UnauthenticatedError("Access denied", ["The login is invalid or has expired"])
        try:
            claims = jwt.decode(
                token,
                self._key,
                [_ALGORITHM],
                options={"require": ["exp", "sub", "epoch"], "verify_iat": False},
            )
            return _Claims(
                int(claims["sub"]),
                int(claims["epoch"]),
                claims.get("jti"),
                float(claims["exp"]),
                float(claims.get("seen", 0)),
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            raise UnauthenticatedError("Access denied", ["The login is invalid or has expired"]) from None


def _counting(account: Account | None, claims: _Claims) -> Account:
    """The account, if a token that says this counts for it. Raises UnauthenticatedError otherwise."""
    if account is None or not may_log_in(account) or not _counts(account, claims.epoch, claims.session_id):
        raise UnauthenticatedError("Access denied", ["The login has been revoked"])
    return account


def _counts(account: Account, epoch: int, session_id: str | None) -> bool:
    kept = session_id is not None and account.kept_session == (account.token_epoch, session_id)
    return kept or account.token_epoch == epoch


def make_caller(account: Account) -> Caller:
    """The account's grants worked out."""
    if account.id == ADMIN_ID:
        return Caller(account.id, account.username, permissions.ADMINISTRATOR)
    held = [Permission(*permission) for permission in account.permissions or ()]
    return Caller(account.id, account.username, permissions.grants(held, account.domains_of_org))


def grants_now(connection: sqlite3.Connection, user_id: int) -> Grants:
    """What a user may do as it stands inside a transaction; nothing for who may not log in (any more)."""
    account = find_account(connection, user_id)
    return make_caller(account).grants if account is not None and may_log_in(account) else Grants()
