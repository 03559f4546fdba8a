"""Parsed queries of lists. A schema loads the query string as one of these; storage/ turns it into a statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from postroom.schemas.values.users import FLAGS


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Parameters of every list. `level`: how many fields of each entry to show. `limit` None: all entries."""

    level: int = 1
    limit: int | None = 50
    offset: int = 0
    #: (one of the list's sort fields, descending)
    sort: Sequence[tuple[str, bool]] = ()
    #: as typed; each must occur in one of `match_fields`
    words: Sequence[str] = ()
    match_fields: Sequence[str] = ()
    #: exact values of text fields, by their names in the API
    equal: Mapping[str, str] = field(default_factory=dict)
    ids: Sequence[int] | None = None


ORG_SORT_FIELDS: Final = ("ID", "name", "description")
ORG_MATCH_FIELDS: Final = ("name", "description")


@dataclass(frozen=True, slots=True)
class OrgQuery(ListQuery):
    """Parameters of a list of organisations."""

    match_fields: Sequence[str] = ORG_MATCH_FIELDS


ROLE_SORT_FIELDS: Final = ("ID", "name", "description")
ROLE_MATCH_FIELDS: Final = ("name", "description")


@dataclass(frozen=True, slots=True)
class RoleQuery(ListQuery):
    """Parameters of a list of roles; by default without a limit."""

    limit: int | None = None
    match_fields: Sequence[str] = ROLE_MATCH_FIELDS


TASK_SORT_FIELDS: Final = ("ID", "command", "state", "created", "updated", "message")
TASK_MATCH_FIELDS: Final = ("command", "message")


@dataclass(frozen=True, slots=True)
class TaskQuery(ListQuery):
    """Parameters of a list of tasks. `user_id` None: tasks of all users. `token_id`: only those of a token."""

    match_fields: Sequence[str] = TASK_MATCH_FIELDS
    user_id: int | None = None
    token_id: int | None = None


DOMAIN_SORT_FIELDS: Final = (
    "ID",
    "domainname",
    "orgID",
    "maxUser",
    "title",
    "address",
    "adminName",
    "tel",
    "endDay",
    "domainStatus",
    "chat",
    "displayname",
    "activeUsers",
    "inactiveUsers",
    "virtualUsers",
)
DOMAIN_MATCH_FIELDS: Final = ("domainname", "displayname", "title", "address", "adminName", "tel")


@dataclass(frozen=True, slots=True)
class DomainQuery(ListQuery):
    """Parameters of a list of domains. `visible`: the IDs that the caller may see; None: all."""

    match_fields: Sequence[str] = DOMAIN_MATCH_FIELDS
    org_ids: Sequence[int] | None = None
    status: Sequence[int] | None = None
    #: from, to
    max_user: tuple[int, int] | None = None
    visible: frozenset[int] | None = None


USER_SORT_FIELDS: Final = ("ID", "username", "domainID", "status", *FLAGS)
USER_MATCH_FIELDS: Final = ("ID", "username", "aliases", "altnames")


class Cursor(NamedTuple):
    """An ID: the page has the users after it, or those before it, whether there is such a user or not."""

    id: int
    is_after: bool


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Parameters of a list of users. Properties are given by tag; `words` are as typed."""

    level: int = 1
    limit: int = 50
    offset: int = 0
    #: (field of USER_SORT_FIELDS or property tag, descending)
    sort: list[tuple[str | int, bool]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    match_fields: frozenset[str] = frozenset(USER_MATCH_FIELDS)
    match_tags: list[int] = field(default_factory=list)
    username: str | None = None
    ids: list[int] | None = None
    status: list[int] | None = None
    #: organisations of the users' domains; 0: domains without one
    org_ids: list[int] | None = None
    #: (property tag, values): a user must have one of the values, which are numbers or texts like the property
    filter_tags: list[tuple[int, list[int] | list[str]]] = field(default_factory=list)
    property_tags: list[int] | None = None
    #: where the page begins; the users are in the order of their IDs then
    cursor: Cursor | None = None
