"""Authentication: by Bearer token, or by the cookie together with its CSRF token."""

import hmac
import logging
from typing import Final

from aiohttp import web

from postroom.app.auth.api_tokens import ApiToken, hash_of, invalid, is_api_token
from postroom.app.auth.tokens import Caller, csrf_token
from postroom.app.errors import UnauthenticatedError
from postroom.app.web.keys import context_of
from postroom.app.web.trust import login_source, source_of

log = logging.getLogger("postroom.logins")

COOKIE: Final = "grommunioAuthJwt"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def identify(request: web.Request) -> Caller:
    """The caller, by Bearer token or cookie. Raises UnauthenticatedError, ThrottledError."""
    text, from_cookie = token_of(request)
    if text is None:
        raise UnauthenticatedError("Access denied", ["You are not logged in"])
    if is_api_token(text):
        return await _identify_program(request, text, from_cookie=from_cookie)
    tokens = context_of(request).tokens
    caller = await tokens.caller(text)
    # A browser sends the cookie for requests of any page. Only the client itself can know the value of the header.
    if from_cookie and request.method not in _SAFE_METHODS:
        given = request.headers.get("X-Csrf-Token", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token(text).encode()):
            raise UnauthenticatedError("Access denied", ["The header X-Csrf-Token is missing or wrong"])
    if caller.session_id is not None:
        tokens.uses.note_session(caller.session_id)
    return caller


async def _identify_program(request: web.Request, text: str, *, from_cookie: bool) -> Caller:
    """The caller by a token for programs, if it may be used from where the request comes."""
    tokens = context_of(request).tokens
    caller = None if from_cookie else tokens.cached(text)
    if caller is None or not _is_from_its_networks(request, caller):
        with context_of(request).metrics.login("token"):
            caller = await _try_token(request, text, from_cookie=from_cookie)
    token = caller.token
    if token is not None and tokens.uses.is_token_due(token.id):
        tokens.uses.note_token(token.id, str(source_of(request).address or "")[:64])
    return caller


async def _try_token(request: web.Request, text: str, *, from_cookie: bool) -> Caller:
    """Like a login: failures of a source delay its next attempts, and are logged by what cannot be used as a token."""
    context, source = context_of(request), login_source(request)
    name = f"token {hash_of(text)[:16]}"
    context.throttle.check(name, source)
    try:
        if from_cookie:
            # Browsers send cookies for any page, and nothing else protects a token.
            raise UnauthenticatedError("Access denied", ["This token is given as Bearer, not as a cookie"])
        caller = await context.tokens.caller(text)
        if not _is_from_its_networks(request, caller):
            log.warning("Token %s refused: %s is not in its networks, or cannot be relied on", name, source.shown)
            raise invalid()
    except UnauthenticatedError:
        context.throttle.fail(name, source)
        raise
    context.throttle.recognise(name, source)
    return caller


def _is_from_its_networks(request: web.Request, caller: Caller) -> bool:
    token: ApiToken | None = caller.token
    return token is None or not token.networks or source_of(request).is_in(token.networks)


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
