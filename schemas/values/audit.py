"""What is asked of the record of changes."""

from dataclasses import dataclass
from typing import Final

#: The means by which something is changed: docs/audit.md explains them.
MEANS: Final = ("session", "token", "password", "address", "command", "sync", "service")
#: The kinds of objects.
KINDS: Final = ("user", "domain", "org", "role", "token", "ldap", "defaults", "settings", "task")

LAST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which rows to find; None: whichever. An ID is a UNIX time in microseconds, so times are ranges of IDs."""

    first: int = 0
    last: int = LAST_ID
    #: The ID of a user, or a username.
    actor: int | str | None = None
    means: str | None = None
    operation: str | None = None
    kind: str | None = None
    object_id: int | None = None
    #: A name that the object has or had.
    name: str | None = None
    #: The same as usernames are stored, if it is an address.
    address: str | None = None
    domain_id: int | None = None
    request_id: str | None = None
    limit: int = 50
    #: The nearest to the first instead of to the last.
    from_first: bool = False


@dataclass(frozen=True, slots=True)
class AuditScope:
    """The rows that somebody may read: all, or those about these domains and organisations; None stands for all."""

    everything: bool = False
    domains: frozenset[int] | None = frozenset()
    orgs: frozenset[int] | None = frozenset()
