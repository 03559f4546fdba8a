"""A directory client for tests: asks a throw-away slapd, with any part of its configuration changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from postroom.app.directory.client import Directory
from postroom.app.directory.config import from_document
from tests.support.memory_directory import Server
from tests.support.slapd import config_document

_OPTIONS = ("ca_file", "verify", "connections", "max_idle", "avoid")


@asynccontextmanager
async def directory(server: Server, limit: float = 5.0, **changes: Any) -> AsyncIterator[Directory]:
    """A client with this time limit. `changes` are its options, or parts of the document such as `users__filter`."""
    options = {name: changes.pop(name) for name in _OPTIONS if name in changes}
    document = config_document(server)
    document["objectID"] = "objectGUID"
    for path, value in changes.items():
        parent, _, name = path.rpartition("__")
        (document.setdefault(parent, {}) if parent else document)[name] = value
    found = Directory(from_document(document), timeout=limit, opener=server.open, **options)
    try:
        yield found
    finally:
        await found.close()
