"""Authentication: by Bearer token, or by the cookie together with its CSRF token."""

import hmac
from typing import Final

from aiohttp import web

from postroom.app.auth.tokens import Caller, Tokens, csrf_token
from postroom.app.errors import UnauthenticatedError

COOKIE: Final = "grommunioAuthJwt"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def identify(request: web.Request, tokens: Tokens) -> Caller:
    """The caller, by Bearer token or cookie. Raises UnauthenticatedError."""
    token, from_cookie = token_of(request)
    if token is None:
        raise UnauthenticatedError("Access denied", ["You are not logged in"])
    caller = await tokens.caller(token)
    # A browser sends the cookie for requests of any page. Only the client itself can know the value of the header.
    if from_cookie and request.method not in _SAFE_METHODS:
        given = request.headers.get("X-Csrf-Token", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(token).encode()):
            raise UnauthenticatedError("Access denied", ["The header X-Csrf-Token is missing or wrong"])
    return caller


def token_of(request: web.Request) -> tuple[str | None, bool]:
    """The token or None, and whether it came in the cookie."""
    authorization = request.headers.get("Authorization")
    if authorization is not None and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip(), False
    cookie = request.headers.get("Cookie")
    if cookie is None:
        return None, True
    # It is nearly always the only cookie; then nothing needs to be parsed.
    if cookie.startswith(f"{COOKIE}=") and ";" not in cookie:
        return cookie[len(COOKIE) + 1 :].strip('" ') or None, True
    return request.cookies.get(COOKIE) or None, True
