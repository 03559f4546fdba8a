"""Requests about mail domains."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from postroom.schemas.addresses import parse_domain
from postroom.schemas.fields import (
    ADDITION,
    Bool,
    CommaSeparated,
    Input,
    Int,
    Listed,
    QueryBool,
    QueryInt,
    Text,
    check_date,
)
from postroom.schemas.pages import MOST_NAMES, PageQuerySchema, known_fields, known_sort, page_arguments
from postroom.schemas.sync_policy import SyncPolicySchema
from postroom.schemas.values.queries import DOMAIN_MATCH_FIELDS, DOMAIN_SORT_FIELDS, DomainQuery
from postroom.schemas.values.self_service import SUBJECTS

LONGEST_NAME = 64

LARGEST_MAX_USER = 2**31 - 1


def parse_domain_name(text: str) -> tuple[str, str]:
    """(A-labels, Unicode) of a mail domain's name, which has at least two parts. Raises ValidationError."""
    try:
        names = parse_domain(text.strip())
    except ValueError as error:
        raise ValidationError(f"{error}.") from None
    if "." not in names[0]:
        raise ValidationError("Not a domain name: it needs at least two parts, as in example.org.")
    return names


class DomainName(Text):
    """A domain name; loads as (A-labels, Unicode)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        name = parse_domain_name(super()._deserialize(value, attr, data, **kwargs))
        if len(name[0]) > LONGEST_NAME:
            raise ValidationError(f"Longer than {LONGEST_NAME} characters.")
        return name


class SelfService(Listed):
    """What users may change of their own; null: what is usual. Loads in the order of SUBJECTS."""

    def __init__(self) -> None:
        described = "What the users of the domain may change of their own"
        super().__init__(
            fields.String(validate=validate.OneOf(SUBJECTS)),
            validate=validate.Length(max=len(SUBJECTS)),
            allow_none=True,
            metadata={**ADDITION, "description": described},
        )

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        given = super()._deserialize(value, attr, data, **kwargs)
        return [subject for subject in SUBJECTS if subject in given]


class DomainCommonSchema(Input):
    """The fields of a domain that requests and responses share."""

    orgID = Int(validate=validate.Range(min=0))
    title = Text(128)
    address = Text(128)
    adminName = Text(32)
    tel = Text(64)
    endDay = Text(10, validate=check_date)
    domainStatus = Int(validate=validate.OneOf((0, 1, 2, 3)))  # 0 normal, 1 suspended, 2 out of date, 3 deleted
    chat = Bool()
    syncPolicy = fields.Nested(SyncPolicySchema, allow_none=True)
    selfService = SelfService()


class DomainCreateSchema(DomainCommonSchema):
    """The body of POST /system/domains."""

    homeserver = fields.Raw(allow_none=True)  # there is only one server
    domainname = DomainName(255, required=True)
    # Required unless the create defaults have it; the transaction checks that.
    maxUser = Int(validate=validate.Range(0, LARGEST_MAX_USER))


class DomainPatchSchema(DomainCommonSchema):
    """The body of PATCH. The name and the counters cannot change; they are accepted because clients send them back."""

    homeserver = fields.Raw(allow_none=True)
    maxUser = Int(validate=validate.Range(0, LARGEST_MAX_USER))
    ID = Int()
    domainname = DomainName(255)
    displayname = fields.String()
    activeUsers = Int()
    inactiveUsers = Int()
    virtualUsers = Int()


READ_ONLY = ("ID", "displayname", "activeUsers", "inactiveUsers", "virtualUsers")


class DomainCreateQuerySchema(Schema):
    """`createRole`: also create a role whose holders administer the new domain."""

    createRole = QueryBool(
        load_default=False, metadata={"description": "Also create a role whose holders administer the domain"}
    )


class DomainDeleteQuerySchema(Schema):
    """`purge`: remove the domain and its data instead of marking it. `deleteFiles` has no effect yet."""

    purge = QueryBool(
        load_default=False,
        metadata={"description": "Remove the domain and everything in it for good, instead of marking it"},
    )
    deleteFiles = QueryBool(load_default=False)


_STATUSES = "Only domains of one of these statuses: 0 normal, 1 suspended, 2 out of date, 3 deleted"


class DomainListQuerySchema(PageQuerySchema):
    """The query of a list of domains; loads as a DomainQuery."""

    matchFields = CommaSeparated(Text(64), most=MOST_NAMES, load_default=list)
    ID = CommaSeparated(QueryInt())
    orgID = CommaSeparated(
        QueryInt(), metadata={"description": "Only domains of these organisations, by ID; 0 for domains without one"}
    )
    domainStatus = CommaSeparated(QueryInt(), metadata={"description": _STATUSES})
    maxUser = CommaSeparated(
        QueryInt(),
        validate=validate.Length(max=2),
        metadata={"description": "Only domains whose `maxUser` is this number, or from the first number to the second"},
    )
    domainname = Text(255, metadata={"description": "Only the domain of this name"})
    title = Text(128, metadata={"description": "Only domains with exactly this title"})
    address = Text(128, metadata={"description": "Only domains with exactly this postal address"})
    adminName = Text(32, metadata={"description": "Only domains whose administrator has exactly this name"})
    tel = Text(64, metadata={"description": "Only domains with exactly this telephone number"})

    @post_load
    def _query(self, data: dict[str, Any], **_: Any) -> DomainQuery:
        bounds = data.get("maxUser")
        return DomainQuery(
            **page_arguments(data),
            sort=known_sort(data["sort"], DOMAIN_SORT_FIELDS),
            match_fields=known_fields(data["matchFields"], DOMAIN_MATCH_FIELDS),
            ids=data.get("ID"),
            org_ids=data.get("orgID"),
            status=data.get("domainStatus"),
            max_user=(bounds[0], bounds[-1]) if bounds else None,
            equal=_equal(data),
        )


_EXACT: tuple[str, ...] = ("title", "address", "adminName", "tel")


def _equal(data: dict[str, Any]) -> dict[str, str]:
    equal: dict[str, str] = {name: data[name] for name in _EXACT if name in data}
    if "domainname" in data:
        try:
            equal["domainname"] = parse_domain_name(data["domainname"])[0]
        except ValidationError:
            equal["domainname"] = ""  # no domain has that name
    return equal
