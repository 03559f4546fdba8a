"""Hooks of schemathesis for postroom; its own process loads them (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis

#: No server listens here: a configuration under test must not name any other.
NOBODY = "ldap://127.0.0.1:9"


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Points every directory configuration at this machine."""
    connection = case.body.get("connection") if isinstance(case.body, dict) else None
    if isinstance(connection, dict) and isinstance(connection.get("server"), str):
        connection["server"] = NOBODY


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(_context: Any, value: Any) -> bytes:
    """Sends lines as they are: the description calls them a text."""
    return str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def filter_query(_context: Any, query: Any) -> bool:
    """Skips queries that are too long for aiohttp: beyond 8190 bytes it sends a response of its own."""
    return query is None or len(str(query).encode(errors="replace")) < 2000
