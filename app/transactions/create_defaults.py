"""The rules of create defaults. users.py and domains.py apply them."""

from postroom.app.transactions.lookups import find_domain_or_raise
from postroom.schemas.create_defaults import overlay
from postroom.schemas.values.create_defaults import NONE, Defaults
from postroom.storage.create_defaults import read_defaults, replace_defaults
from postroom.storage.engine import Connection


def put_defaults(connection: Connection, domain_id: int | None, data: Defaults) -> None:
    """Replaces the defaults of a domain, or (None) those of all domains. Raises NotFoundError."""
    _store(connection, domain_id, NONE, data)


def patch_defaults(connection: Connection, domain_id: int | None, data: Defaults) -> None:
    """Changes the given defaults; null removes one. Raises NotFoundError."""
    _store(connection, domain_id, read_defaults(connection, domain_id), data)


def _store(connection: Connection, domain_id: int | None, base: Defaults, data: Defaults) -> None:
    if domain_id is not None:
        find_domain_or_raise(connection, domain_id)
    replace_defaults(connection, domain_id, overlay(base, {**NONE, **data}))
