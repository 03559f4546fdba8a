"""Tokens: those of logins, which are signed, and those for programs. Both are checked from a cache, and invalid at once
when the account or the token changes.
"""

import base64
import hashlib
from dataclasses import astuple, dataclass, replace
from math import inf

from postroom.app.auth import api_tokens, permissions
from postroom.app.auth.api_tokens import ApiToken, is_api_token
from postroom.app.auth.claims import Claims, read, sign
from postroom.app.auth.permissions import Grants, Permission
from postroom.app.auth.uses import Uses
from postroom.app.clock import Clock
from postroom.app.errors import UnauthenticatedError
from postroom.app.limits.memory import remember
from postroom.storage.api_tokens import TokenRow, find_token, find_token_by_hash
from postroom.storage.auth import Account, find_account, find_new_token_key
from postroom.storage.database import Database
from postroom.storage.engine import Connection
from postroom.storage.sessions import SessionRow, find_session

ADMIN_ID = 0
#: The key that signs tokens, encrypted (None if there is none yet) and plain.
_Key = tuple[str | None, str]
#: Most tokens in the cache; beyond, the oldest is dropped.
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """The user who makes a request, and what they may do."""

    user_id: int
    username: str
    grants: Grants
    #: The login by which the request is made, or the token, and the UNIX time when that expires.
    session_id: str | None = None
    token: ApiToken | None = None
    expires: float = inf
    #: None: the administrator, who has no mailbox.
    domain_id: int | None = None
    #: Without a role nobody may do more than look after what is their own.
    has_role: bool = True
    #: What of that the domain lets them change.
    self_service: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """A login by its token: the account, its row, and when the directory last had the user (0 without a directory)."""

    account: Account
    row: SessionRow
    #: UNIX times.
    expires: float
    seen: float


def is_active(account: Account) -> bool:
    """Whether the account is in use: its status is normal, and its domain is active."""
    return account.id == ADMIN_ID or (account.status == 0 and account.domain_status == 0)


def may_log_in(account: Account) -> bool:
    """Whether the account may log in to more than what is its own: the administrator always may, other users need a
    role and must be active.
    """
    return account.id == ADMIN_ID or (is_active(account) and account.permissions is not None)


def csrf_token(token: str) -> str:
    """The value of X-Csrf-Token for a token in a cookie: base64 of the token's SHA3-256."""
    return base64.b64encode(hashlib.sha3_256(token.encode()).digest()).decode()


class Tokens:
    """Issues and checks tokens. The key stays the same across restarts; `lifetime` is in seconds."""

    def __init__(self, database: Database, key: str, lifetime: int, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        #: Its stored form is not known yet.
        self._key: _Key = (None, key)
        self.lifetime = lifetime
        self.uses = Uses(clock)
        self._known: dict[str, Caller] = {}
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

    def issue(self, account: Account, session_id: str, seen: float | None = None) -> dict[str, str]:
        """The response to a login: a token of the session, and its value for X-Csrf-Token.

        `seen`: UNIX time when the user was last seen in the directory; None for users of no directory.
        """
        now = self._clock.now()
        claims = Claims(account.id, account.token_epoch, session_id, now + self.lifetime, seen or 0)
        token = sign(claims, self._key[1], now)
        return {"grommunioAuthJwt": token, "csrf": csrf_token(token)}

    def cached(self, token: str) -> Caller | None:
        """The owner of a token that was valid a moment ago and is valid still; None: look for it in the database."""
        known = self._known.get(token)
        if known is None or self._database.generation.value != self._generation:
            return None
        return None if known.expires <= self._clock.now() else known

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
        if known.expires <= self._clock.now():
            self._known.pop(token, None)
            what = "token" if is_api_token(token) else "login"
            raise UnauthenticatedError("Access denied", [f"The {what} has expired"])
        return known

    async def session(self, token: str) -> Session:
        """The session of a valid token. Raises UnauthenticatedError for any other, KeyFileError."""
        new_key, found = await self._database.look_up_by(self._find_session, token)
        self._adopt(new_key)
        return found

    async def _check(self, token: str) -> Caller:
        if is_api_token(token):
            return await self._database.look_up_by(self._find_program, token)
        return _caller_of(await self.session(token))

    def caller_inside(self, connection: Connection, token: str) -> Caller:
        """The owner of the token as a transaction sees it. Raises UnauthenticatedError when the token is not valid."""
        if is_api_token(token):
            return self._find_program(connection, token)
        _, session = self._find_session(connection, token)
        return _caller_of(session)

    def _find_session(self, connection: Connection, token: str) -> tuple[_Key | None, Session]:
        """(the key if it has been replaced, the session). Raises UnauthenticatedError, KeyFileError."""
        known = self._key
        new_key = find_new_token_key(connection, known[0])
        claims = read(token, (new_key or known)[1], self._clock.now())
        account = _counting(find_account(connection, claims.user_id), claims)
        row = find_session(connection, claims.session_id)
        if row is None or row.user_id != account.id:
            raise UnauthenticatedError("Access denied", ["The login has been ended"])
        return new_key, Session(account, row, claims.expires, claims.seen)

    def _find_program(self, connection: Connection, token: str) -> Caller:
        """The owner of this token for programs. Raises UnauthenticatedError."""
        row = find_token_by_hash(connection, api_tokens.hash_of(token))
        if row is None:
            raise api_tokens.invalid()
        if api_tokens.is_over(row, self._clock.now()):
            raise UnauthenticatedError("Access denied", ["The token has expired"])
        account = find_account(connection, row.user_id)
        if account is None or not may_log_in(account):
            raise UnauthenticatedError("Access denied", ["The owner of the token may not log in"])
        expires = inf if row.expires is None else row.expires
        return replace(
            make_caller(account), grants=_limited(account, row), token=api_tokens.read_row(row), expires=expires
        )


def _caller_of(session: Session) -> Caller:
    return replace(make_caller(session.account), session_id=session.row.id, expires=session.expires)


def _limited(account: Account, row: TokenRow) -> Grants:
    """What the owner of a token may do, as far as its scope covers it."""
    own = make_caller(account).grants
    return permissions.both(own, scope_of(row)) if row.scoped else own


def scope_of(row: TokenRow) -> Grants:
    """What the permissions of a token allow by themselves."""
    return permissions.grants([Permission(*astuple(each)) for each in row.permissions], row.domains_of_org)


def _counting(account: Account | None, claims: Claims) -> Account:
    """Returns the account if a token with these claims is valid for it. Raises UnauthenticatedError otherwise."""
    if account is None or not is_active(account) or not _counts(account, claims.epoch, claims.session_id):
        raise UnauthenticatedError("Access denied", ["The login has been revoked"])
    return account


def _counts(account: Account, epoch: int, session_id: str) -> bool:
    return account.token_epoch == epoch or account.kept_session == (account.token_epoch, session_id)


def make_caller(account: Account) -> Caller:
    """The caller for an account, with the grants that its roles give."""
    if account.id == ADMIN_ID:
        return Caller(account.id, account.username, permissions.ADMINISTRATOR)
    held = [Permission(*permission) for permission in account.permissions or ()]
    return Caller(
        account.id,
        account.username,
        permissions.grants(held, account.domains_of_org),
        domain_id=account.domain_id,
        has_role=account.permissions is not None,
        self_service=account.self_service,
    )


def grants_now(connection: Connection, caller: Caller, now: float | None = None) -> Grants:
    """The grants of a caller as a transaction sees them; none for a user who may not log in (any more), or by a token
    that is gone. `now`: the UNIX time, if the token may have expired since the request came in.
    """
    account = find_account(connection, caller.user_id)
    if account is None or not may_log_in(account):
        return Grants()
    if caller.token is None:
        return make_caller(account).grants
    row = find_token(connection, caller.token.id)
    if row is None or (now is not None and api_tokens.is_over(row, now)):
        return Grants()
    return _limited(account, row)
