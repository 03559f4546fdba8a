"""Versions of what a client has read, so that a change can be refused when somebody else was faster."""

import hashlib

from aiohttp import web

from postroom.app.errors import PreconditionFailedError

ANY = "*"

#: What a client says it has read: ETags of If-Match, or None when it does not care.
Expected = frozenset[str] | None


def etag(document: bytes) -> str:
    """The version of a document: two documents have the same one exactly when they are equal."""
    return hashlib.blake2b(document, digest_size=12).hexdigest()


def expected(request: web.Request) -> Expected:
    """The versions that If-Match allows, None without the header. A weak one never matches (RFC 9110, 13.1.1)."""
    if "If-Match" not in request.headers:
        return None
    return frozenset(tag.value for tag in request.if_match or () if not tag.is_weak)


def check_match(allowed: Expected, document: bytes) -> None:
    """Raises PreconditionFailedError when the document, as it is stored now, is none that the client has read."""
    if allowed is not None and ANY not in allowed and etag(document) not in allowed:
        raise PreconditionFailedError("Somebody else has changed this meanwhile: read it again, then change it")
