"""What a list may be asked for: a schema loads the query string as one of these, storage/ makes a statement of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from postroom.schemas.values.users import FLAGS


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What every list may be asked for. `level` says how much of each entry is shown; without a limit, all are."""

    level: int = 1
    limit: int | None = 50
    offset: int = 0
    #: (one of the list's sort fields, descending)
    sort: Sequence[tuple[str, bool]] = ()
    #: as typed; each must be found in one of the fields that are searched
    words: Sequence[str] = ()
    match_fields: Sequence[str] = ()
    #: exact values of text fields, by their names in the API
    equal: Mapping[str, str] = field(default_factory=dict)
    ids: Sequence[int] | None = None


ORG_SORT_FIELDS: Final = ("ID", "name", "description")
ORG_MATCH_FIELDS: Final = ("name", "description")


@dataclass(frozen=True, slots=True)
class OrgQuery(ListQuery):
    """What a list of organisations may be asked for."""

    match_fields: Sequence[str] = ORG_MATCH_FIELDS


ROLE_SORT_FIELDS: Final = ("ID", "name", "description")
ROLE_MATCH_FIELDS: Final = ("name", "description")


@dataclass(frozen=True, slots=True)
class RoleQuery(ListQuery):
    """What a list of roles may be asked for; unless a limit is given, all are shown."""

    limit: int | None = None
    match_fields: Sequence[str] = ROLE_MATCH_FIELDS


TASK_SORT_FIELDS: Final = ("ID", "command", "state", "created", "updated", "message")
TASK_MATCH_FIELDS: Final = ("command", "message")


@dataclass(frozen=True, slots=True)
class TaskQuery(ListQuery):
    """What a list of tasks may be asked for. `user_id` None: those of everyone."""

    match_fields: Sequence[str] = TASK_MATCH_FIELDS
    user_id: int | None = None


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
    """What a list of domains may be asked for. `visible` None: all; otherwise the IDs the caller may see."""

    match_fields: Sequence[str] = DOMAIN_MATCH_FIELDS
    org_ids: Sequence[int] | None = None
    status: Sequence[int] | None = None
    #: from, to
    max_user: tuple[int, int] | None = None
    visible: frozenset[int] | None = None


USER_SORT_FIELDS: Final = ("ID", "username", "domainID", "status", *FLAGS)
USER_MATCH_FIELDS: Final = ("ID", "username", "aliases", "altnames")


@dataclass(frozen=True, slots=True)
class UserQuery:
    """What a list of users may be asked for. Property names have become tags; words are as typed."""

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
    #: organisations of the users' domains; 0: of none
    org_ids: list[int] | None = None
    #: property tag, and the values of which one must be there: numbers, or texts, as the property has
    filter_tags: list[tuple[int, list[int] | list[str]]] = field(default_factory=list)
    property_tags: list[int] | None = None
