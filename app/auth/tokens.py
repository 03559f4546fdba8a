"""Tokens: signed at login, checked from a cache, and invalid at once when the account changes."""

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
from postroom.storage.auth import Account, find_account, find_new_token_key
from postroom.storage.database import Database
from postroom.storage.engine import Connection

ADMIN_ID = 0
_ALGORITHM = "HS256"
#: The key that signs tokens, encrypted (None if there is none yet) and plain.
_Key = tuple[str | None, str]
#: Most tokens in the cache; beyond, the oldest is dropped.
_REMEMBERED = 10_000
#: Most characters of a token. Ours have about 250; the same token can be encoded in longer forms, up to a whole header.
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes a request, and what they may do."""

    user_id: int
    username: str
    grants: Grants
    #: The ID of the request's token.
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """The content of a token: its account, its ID, when it expires, when its user was last seen in the directory."""

    account: Account
    id: str | None
    #: UNIX times; `seen` is 0 for users of no directory, and in tokens of older versions.
    expires: float
    seen: float


class _Claims(NamedTuple):
    """The claims of a token; `expires` and `seen` as in Session."""

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
    """Whether the account is in use: its status is normal, and its domain is active."""
    return account.id == ADMIN_ID or (account.status == 0 and account.domain_status == 0)


def may_log_in(account: Account) -> bool:
    """Whether the account may log in: the administrator always may, other users need a role and must be active."""
    return account.id == ADMIN_ID or (is_active(account) and account.permissions is not None)


def csrf_token(token: str) -> str:
    """The value of X-Csrf-Token for a token in a cookie: base64 of the token's SHA3-256."""
    return base64.b64encode(hashlib.sha3_256(token.encode()).digest()).decode()


class Tokens:
    """Issues and checks tokens. The key stays the same across restarts; `lifetime` is in seconds."""

    def __init__(self, database: Database, key: str, lifetime: int) -> None:
        self._database = database
        #: Its stored form is not known yet.
        self._key: _Key = (None, key)
        self._lifetime = lifetime
        self._known: dict[str, _Known] = {}
        self._generation = 0

    async def refresh(self) -> None:
        """Signs and checks with the key that is stored now; tokens of any other key become invalid.

        Raises KeyFileError when it cannot be read.
        """
        self._adopt(await self._database.look_up_by(find_new_token_key, self._key[0]))

    def _adopt(self, new_key: _Key | None) -> None:
        if new_key is not None:
            before, self._key = self._key, new_key
            if new_key[1] != before[1]:
                self._known.clear()

    def issue(self, account: Account, seen: float | None = None) -> dict[str, str]:
        """The response to a login: the token, and its value for X-Csrf-Token.

        `seen`: UNIX time when the user was last seen in the directory; None for users of no directory.
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
        token = jwt.encode(claims, self._key[1], _ALGORITHM)
        return {"grommunioAuthJwt": token, "csrf": csrf_token(token)}

    async def caller(self, token: str) -> Caller:
        """The owner of the token, from the cache unless an account or a role has changed since.

        Raises UnauthenticatedError when the token is not valid (any more).
        """
        generation = self._database.generation.value
        if generation != self._generation:
            self._known.clear()
            self._generation = generation
        known = self._known.get(token)
        if known is None:
            known = await self._check(token)
            # If anything changed while the account was read, the result may be outdated and is not cached.
            if self._database.generation.value == generation == self._generation:
                remember(self._known, token, known, _REMEMBERED)
        if known.expires <= time.time():
            self._known.pop(token, None)
            raise UnauthenticatedError("Access denied", ["The login has expired"])
        return known.caller

    async def session(self, token: str) -> Session:
        """The session of a valid token. Raises UnauthenticatedError for any other, KeyFileError."""
        new_key, found = await self._database.look_up_by(self._find_session, token)
        self._adopt(new_key)
        return found

    async def _check(self, token: str) -> _Known:
        session = await self.session(token)
        return _Known(_caller_of(session), session.expires)

    def caller_inside(self, connection: Connection, token: str) -> Caller:
        """The owner of the token as a transaction sees it. Raises UnauthenticatedError when the token is not valid."""
        _, session = self._find_session(connection, token)
        return _caller_of(session)

    def _find_session(self, connection: Connection, token: str) -> tuple[_Key | None, Session]:
        """(the key if it has been replaced, the session). Raises UnauthenticatedError, KeyFileError."""
        known = self._key
        new_key = find_new_token_key(connection, known[0])
        claims = _read(token, (new_key or known)[1])
        account = _counting(find_account(connection, claims.user_id), claims)
        return new_key, Session(account, claims.session_id, claims.expires, claims.seen)


def _caller_of(session: Session) -> Caller:
    return replace(make_caller(session.account), session_id=session.id)


def _read(token: str, key: str) -> _Claims:
    """The claims of a token that was signed with this key. Raises UnauthenticatedError for any other."""
    if len(token) > _LONGEST:
        raise UnauthenticatedError("Access denied", ["The login is invalid or has expired"])
    try:
        claims = jwt.decode(
            token,
            key,
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
    """Returns the account if a token with these claims is valid for it. Raises UnauthenticatedError otherwise."""
    if account is None or not may_log_in(account) or not _counts(account, claims.epoch, claims.session_id):
        raise UnauthenticatedError("Access denied", ["The login has been revoked"])
    return account


def _counts(account: Account, epoch: int, session_id: str | None) -> bool:
    kept = session_id is not None and account.kept_session == (account.token_epoch, session_id)
    return kept or account.token_epoch == epoch


def make_caller(account: Account) -> Caller:
    """The caller for an account, with the grants that its roles give."""
    if account.id == ADMIN_ID:
        return Caller(account.id, account.username, permissions.ADMINISTRATOR)
    held = [Permission(*permission) for permission in account.permissions or ()]
    return Caller(account.id, account.username, permissions.grants(held, account.domains_of_org))


def grants_now(connection: Connection, user_id: int) -> Grants:
    """The grants of a user as a transaction sees them; none for a user who may not log in (any more)."""
    account = find_account(connection, user_id)
    return make_caller(account).grants if account is not None and may_log_in(account) else Grants()
