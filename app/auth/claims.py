"""What a login's token says, and its signature. Pure functions."""

import uuid
from typing import NamedTuple

import jwt

from postroom.app.errors import UnauthenticatedError

_ALGORITHM = "HS256"
#: Most characters of a token. Ours have about 300; the same token can be encoded in longer forms, up to a whole header.
_LONGEST = 1024


class Claims(NamedTuple):
    """Whose token it is, of which session, under which epoch. UNIX times: `expires`, and `seen`, when the user was last
    seen in the directory (0 for users of no directory).
    """

    user_id: int
    epoch: int
    session_id: str
    expires: float
    seen: float


def sign(claims: Claims, key: str, now: float) -> str:
    """A token with these claims, made at this UNIX time."""
    content: dict[str, object] = {
        "sub": str(claims.user_id),
        "epoch": claims.epoch,
        "sid": claims.session_id,
        "iat": int(now),
        "exp": int(claims.expires),
        # So that no two tokens are the same.
        "jti": uuid.uuid4().hex,
    }
    if claims.seen:
        content["seen"] = int(claims.seen)
    return jwt.encode(content, key, _ALGORITHM)


def read(token: str, key: str, now: float) -> Claims:
    """The claims of a token that was signed with this key and has not expired. UnauthenticatedError for any other."""
    claims = _read(token, key) if len(token) <= _LONGEST else None
    if claims is None or claims.expires <= now:
        raise UnauthenticatedError("Access denied", ["The login is invalid or has expired"])
    return claims


def _read(token: str, key: str) -> Claims | None:
    try:
        content = jwt.decode(
            token,
            key,
            [_ALGORITHM],
            # Times are compared with the clock of the service, not with that of the machine.
            options={
                "require": ["exp", "sub", "epoch", "sid"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        return Claims(
            int(content["sub"]),
            int(content["epoch"]),
            str(content["sid"]),
            float(content["exp"]),
            float(content.get("seen", 0)),
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
