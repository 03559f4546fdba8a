"""The rules of delegates and send-as; each function is one transaction."""

from collections.abc import Sequence

from postroom.app.transactions.lookups import user_not_found
from postroom.app.transactions.versions import Expected, check_match
from postroom.storage import grants
from postroom.storage.engine import Connection


def replace_grants(
    connection: Connection,
    domain_id: int,
    user_id: int,
    kind: str,
    addresses: Sequence[str],
    allowed: Expected,
) -> bytes:
    """Replaces the list of delegates or of send-as; returns the new document.

    Raises NotFoundError, PreconditionFailedError.
    """
    current = grants.read_grants(connection, domain_id, user_id, kind)
    if current is None:
        raise user_not_found(domain_id, user_id)
    check_match(allowed, current)
    grants.replace_grants(connection, user_id, kind, addresses)
    return grants.read_grants(connection, domain_id, user_id, kind) or current
