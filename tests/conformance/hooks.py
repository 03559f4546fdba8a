"""What schemathesis is told about postroom; loaded by its own process (SCHEMATHESIS_HOOKS)."""

from typing import Any

import schemathesis

#: Nobody listens here: a configuration under test must not lead anywhere else.
NOBODY = "ldap://127.0.0.1:9"


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Keeps every directory that could be asked on this machine."""
    connection = case.body.get("connection") if isinstance(case.body, dict) else None
    if isinstance(connection, dict) and isinstance(connection.get("server"), str):
        connection["server"] = NOBODY


@schemathesis.hook
def filter_query(_context: Any, query: Any) -> bool:
    """Passes over queries that no HTTP server reads: aiohttp ends at 8190 bytes, with an answer of its own."""
    return query is None or len(str(query).encode(errors="replace")) < 2000
