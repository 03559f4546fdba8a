"""Who makes a request: by Bearer, or by the cookie together with its CSRF token."""

import hmac
from typing import Final

from aiohttp import web

from postroom.app.auth.tokens import Caller, csrf_token
from postroom.app.errors import UnauthenticatedError
from postroom.app.web.keys import context_of

COOKIE: Final = "grommunioAuthJwt"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def identify(request: web.Request) -> Caller:
    """Who makes the request, by Bearer or by cookie. Raises UnauthenticatedError."""
    context = context_of(request)
    token, from_cookie = token_of(request)
    if token is None:
        raise UnauthenticatedError("Access denied", ["You are not logged in"])
    caller = await context.tokens.caller(token)
    # A browser sends the cookie along whatever page made the request; the header shows that it was the client itself.
    if from_cookie and request.method not in _SAFE_METHODS:
        given = request.headers.get("X-Csrf-Token", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(token).encode()):
            raise UnauthenticatedError("Access denied", ["The header X-Csrf-Token is missing or wrong"])
    return caller


def token_of(request: web.Request) -> tuple[str | None, bool]:
    """(the token or None, whether it came in the cookie)."""
    authorization = request.headers.get("Authorization")
    if authorization is not None and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip(), False
    cookie = request.headers.get("Cookie")
    if cookie is None:
        return None, True
    # Nearly always it is the only cookie; then there is nothing to parse.
    if cookie.startswith(f"{COOKIE}=") and ";" not in cookie:
        return cookie[len(COOKIE) + 1 :].strip('" ') or None, True
    return request.cookies.get(COOKIE) or None, True
