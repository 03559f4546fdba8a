"""How the OpenAPI document describes fields: types that apispec does not know, bounds in the terms of OpenAPI 3.0."""

from typing import TYPE_CHECKING, Any, Final

from marshmallow import fields, validate

from postroom.schemas import domains, users
from postroom.schemas.devices import LONGEST_DEVICE_ID, ProtocolVersion, check_device_id
from postroom.schemas.downsync import Seconds
from postroom.schemas.fields import (
    INT64_MAX,
    CommaSeparated,
    IdRef,
    Input,
    QueryBool,
    QueryId,
    QueryInt,
    SortField,
    Text,
    check_date,
    check_time,
)
from postroom.schemas.orgs import OrgCreateSchema, OrgPatchSchema
from postroom.schemas.properties import Properties
from postroom.schemas.responses.domains import DomainSchema
from postroom.schemas.responses.orgs import OrgSchema
from postroom.schemas.responses.roles import RolePermissionSchema, RoleSchema
from postroom.schemas.responses.users import FetchmailEntrySchema, UserSchema
from postroom.schemas.roles import PermissionSchema, PermissionTarget, RoleCreateSchema, RolePatchSchema
from postroom.schemas.sync_policy import SyncPolicySchema

if TYPE_CHECKING:
    from apispec.ext.marshmallow.openapi import OpenAPIConverter

JSON = dict[str, Any]

#: Query parameters with the same meaning in all operations; the others have their description on the field.
_QUERY_TEXTS: Final = {
    "ID": "Only those with one of these IDs",
    "level": "How much to show: 0 the least, 2 everything",
    "limit": "How many entries to show at most; 0 for the count alone",
    "offset": "How many entries to skip before the page begins",
    "sort": "A field (or a property of users), then `,desc` for descending order. May be given several times",
    "match": "Words that must all be found; case does not matter",
    "matchFields": "The fields in which `match` looks; all of them unless given",
    "matchProps": "Properties in which `match` looks as well",
    "filterProp": "Properties, each of which must have one of the values: `name:value,value;name:value`",
    "devices": "The devices, by ID; all of the user's unless given",
    "domain": "Ask only about this domain, by ID",
    "organization": "Ask only about this organisation, by ID; 0: domains without one. `domain` takes precedence",
    "lang": "The language for users who have none",
    "deleteFiles": "Has no effect: there are no files besides the database",
}

#: Patterns for a text of one line, and of any number of lines: neither allows NUL.
_LINE, _LINES = r"^[^\x00-\x1f\x7f]*$", r"^[^\x00]*$"

#: Read-only fields: a client may send them back unchanged, but not change them.
_READ_ONLY: Final[dict[type, tuple[str, ...]]] = {
    UserSchema: users.READ_ONLY,
    users.UserPatchSchema: users.READ_ONLY,
    users.UserCreateSchema: ("domainID",),
    users.AltnameSchema: ("magic",),
    users.FetchmailSchema: ("date",),
    FetchmailEntrySchema: ("date",),
    DomainSchema: domains.READ_ONLY,
    domains.DomainPatchSchema: domains.READ_ONLY,
    OrgSchema: ("ID", "domainCount"),
    OrgPatchSchema: ("ID", "domainCount"),
    OrgCreateSchema: ("ID", "domainCount"),
    RoleSchema: ("ID",),
    RolePermissionSchema: ("ID",),
    PermissionSchema: ("ID",),
    RolePatchSchema: ("ID",),
    RoleCreateSchema: ("ID",),
}
_SECRETS: Final = frozenset({"password", "pass", "old", "new", "srcPassword", "bindPass"})

# The class is private to its module, so it is taken from the only field that uses it.
_ATTACHMENT_SIZE: Final = type(SyncPolicySchema().fields["maxattsize"])

_ID: Final = {"type": "integer", "minimum": 0}

#: Components besides the schemas; with names, because generators would invent some.
COMPONENTS: Final[dict[str, JSON]] = {
    "IdRef": {
        "description": "An ID, or an object that has one, as responses show it",
        "oneOf": [_ID, {"$ref": "#/components/schemas/ObjectWithId"}],
    },
    "PermissionParams": {
        "description": "What a permission is about: a domain or an organisation by ID, `*` for all, null for neither",
        "nullable": True,
        "oneOf": [{**_ID, "nullable": True}, {"type": "string", "enum": ["*", ""]}],
    },
    "ObjectWithId": {"type": "object", "required": ["ID"], "properties": {"ID": {**_ID, "x-postroom": True}}},
}

#: Our own field classes, whose types apispec does not know or describes incompletely.
_TYPES: Final[dict[type[fields.Field[Any]], JSON]] = {
    QueryInt: {"type": "integer"},
    QueryId: {"type": "integer", "minimum": 0, "maximum": INT64_MAX},
    SortField: {"type": "string", "pattern": "^[^,]+(,(asc|desc)?)?$"},
    Properties: {"type": "object", "additionalProperties": {}},
    IdRef: {"$ref": "#/components/schemas/IdRef"},
    PermissionTarget: {"allOf": [{"$ref": "#/components/schemas/PermissionParams"}]},
    Seconds: {"type": "number", "minimum": 0},
    ProtocolVersion: {
        "oneOf": [
            {"type": "string", "maxLength": 32},
            {"type": "number", "minimum": 0, "maximum": 1000, "exclusiveMaximum": True},
        ]
    },
    _ATTACHMENT_SIZE: {
        "oneOf": [{"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, {"type": "string", "enum": [""]}]
    },
}
#: The pattern of a device ID, also in paths.
DEVICE_ID: Final = rf"^[A-Za-z0-9._:-]{{1,{LONGEST_DEVICE_ID}}}$"

_PATTERNS: Final = {
    check_device_id: DEVICE_ID,
    check_date: r"^\d{4}-\d{2}-\d{2}$",
    check_time: r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$",
}


def describe_type(converter: "OpenAPIConverter", field: fields.Field[Any], **_: Any) -> JSON:
    """Describes what apispec cannot know about a field."""
    described: JSON = {}
    for field_type, known in _TYPES.items():
        if isinstance(field, field_type):
            described |= known
    if isinstance(field, Text) and not any(isinstance(check, validate.Regexp) for check in field.validators):
        described["pattern"] = _LINE if field.line else _LINES
    if isinstance(field, CommaSeparated):
        described |= {"type": "array", "items": converter.field2property(field.inner)}
    for check, pattern in _PATTERNS.items():
        if check in field.validators:
            described["pattern"] = pattern
    if field.name in _READ_ONLY.get(type(field.parent), ()):
        described["readOnly"] = True
    if field.name in _SECRETS:
        described |= {"writeOnly": True, "format": "password"}
    return described


def correct_terms(_converter: "OpenAPIConverter", field: fields.Field[Any], ret: JSON) -> JSON:
    """Corrects in `ret` the terms of apispec that mean something else in OpenAPI 3.0."""
    word = {"array": "Items", "object": "Properties"}.get(ret.get("type", ""), "Length")
    for bound in ("min", "max"):
        if f"{bound}Length" in ret:
            ret[f"{bound}{word}"] = ret.pop(f"{bound}Length")
    if ret.get("pattern", "").endswith(r"\Z"):
        # Python's \Z with an implied start becomes JavaScript's ^...$.
        ret["pattern"] = f"^(?:{ret['pattern'][:-2]})$"
    if "anyOf" in ret and field.allow_none:
        # apispec offers any object as the alternative. OpenAPI 3.0 has no null type to put beside a reference, and
        # this is the only form of a nullable reference that generators know.
        ret["allOf"] = [one for one in ret.pop("anyOf") if "$ref" in one]
        ret["nullable"] = True
    if isinstance(field.parent, Input) and "default" in ret:
        # Generators make a field with a default required, or use a constant for it that they do not define.
        default = ret.pop("default")
        if default is not None:
            ret["description"] = f"{default} unless given"
    return ret


def describe_parameter(_converter: "OpenAPIConverter", field: fields.Field[Any], **_: Any) -> JSON:
    """Describes what apispec cannot know about a query parameter."""
    described: JSON = {}
    if isinstance(field, CommaSeparated):
        described |= {"style": "form", "explode": False}
    if isinstance(field, QueryBool) or (isinstance(field, Text) and field.max_length == 0):
        described["allowEmptyValue"] = True
    if field.name in _QUERY_TEXTS and "description" not in field.metadata:
        described["description"] = _QUERY_TEXTS[field.name]
    return described
