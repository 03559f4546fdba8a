"""Reads the versions in If-Match."""

from aiohttp import web

from postroom.app.transactions.versions import Expected


def expected(request: web.Request) -> Expected:
    """The versions that If-Match allows; None without the header. A weak ETag never matches (RFC 9110, 13.1.1)."""
    if "If-Match" not in request.headers:
        return None
    return frozenset(tag.value for tag in request.if_match or () if not tag.is_weak)
