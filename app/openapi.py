"""The description of the API as an OpenAPI 3 document, read off the route table and the decorations of its handlers.

aiohttp-apispec could make one itself, but in Swagger 2.0, and it takes the decorations apart on the way: a second
application in the process would get another document. Here nothing is changed.
"""

import inspect
import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

import orjson
from aiohttp import web
from marshmallow import Schema, fields

from postroom.app.callers import COOKIE
from postroom.app.endpoints import AddressOr
from postroom.schemas import answers, domains, users
from postroom.schemas.devices import IPAddress, ProtocolVersion
from postroom.schemas.fields import CommaSeparated, IdRef, QueryBool, QueryInt, SortField, Text, check_date, check_time
from postroom.schemas.orgs import OrgCreateSchema, OrgPatchSchema
from postroom.schemas.properties import Properties
from postroom.schemas.roles import PermissionSchema, PermissionTarget, RoleCreateSchema, RolePatchSchema
from postroom.schemas.sync_policy import SyncPolicySchema

if TYPE_CHECKING:
    from apispec.ext.marshmallow.openapi import OpenAPIConverter

    from postroom.app.routes import Route

JSON = dict[str, Any]

_DESCRIPTION = (
    "postroom administers the mailbox users of mail domains over the grommunio Admin API. "
    "Log in with `POST /login`, then send the token as Bearer, or as the cookie together with the header X-Csrf-Token."
)

_SECURITY: Final = {
    "JWTCookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}

#: Status -> (name of the component, schema, when it happens).
_ERRORS: Final[dict[int, tuple[str, type[Schema], str]]] = {
    400: ("InvalidRequest", answers.ErrorSchema, "The input breaks a rule; nothing was stored"),
    401: ("Unauthenticated", answers.UnauthenticatedSchema, "Nobody is logged in, or the login does not count"),
    403: ("Forbidden", answers.ErrorSchema, "The caller may not do this"),
    404: ("NotFound", answers.ErrorSchema, "There is no such thing, or none in the domain of the path"),
    412: ("PreconditionFailed", answers.ErrorSchema, "Somebody else has changed this since it was read (If-Match)"),
    413: ("TooLarge", answers.ErrorSchema, "The body is larger than 1 MiB"),
    500: ("ServerError", answers.InternalErrorSchema, "An internal error; the log has more under the request ID"),
    503: ("Unavailable", answers.InternalErrorSchema, "The database or the directory cannot be used at the moment"),
}

# Public in the table, because the handler itself finds out who is calling.
_OWN_ERRORS: Final[dict[str, tuple[int, ...]]] = {"postLogin": (401,), "putPasswd": (401, 403)}

#: Operations that refuse to overwrite what the client has not read, when it says by If-Match what it has.
_VERSIONED: Final = frozenset({"patchUser", "deleteUser", "putDelegates", "putSendas", "putStoreAccessUser"})
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of what was read; without it the change is made whatever is stored",
    "schema": {"type": "string"},
}

_IDS: Final = {"domainID": "ID of the domain", "userID": "ID of the user", "ID": "ID of the object"}

_MEDIA_TYPES: Final = {
    "json": ("application/json",),
    "form": ("application/x-www-form-urlencoded", "application/json"),
}

#: Parameters that mean the same wherever they stand.
_QUERY_TEXTS: Final = {
    "level": "How much is shown of each: 0 the least, 2 all",
    "limit": "Most entries on the page; 0 for the count alone",
    "offset": "How many entries to pass over before the page begins",
    "sort": "A field, optionally followed by `,asc` or `,desc`; may be given several times",
    "match": "Words, each of which must be found",
    "matchFields": "The fields in which `match` looks",
    "matchProps": "The properties in which `match` looks as well",
    "filterProp": "Properties and the values of which each must have one: `name:value,value;name:value`",
    "devices": "IDs of devices",
    "mlist": "Given without a value: leave out the users behind mailing lists",
}

#: What a client reads, and may send back as it was, but not change.
_READ_ONLY: Final[dict[type, tuple[str, ...]]] = {
    answers.UserSchema: users.READ_ONLY,
    users.UserPatchSchema: users.READ_ONLY,
    users.UserCreateSchema: ("domainID",),
    users.AltnameSchema: ("magic",),
    users.FetchmailSchema: ("date",),
    answers.FetchmailEntrySchema: ("date",),
    answers.DomainSchema: domains.READ_ONLY,
    domains.DomainPatchSchema: domains.READ_ONLY,
    answers.OrgSchema: ("ID", "domainCount"),
    OrgPatchSchema: ("ID", "domainCount"),
    OrgCreateSchema: ("ID", "domainCount"),
    answers.RoleSchema: ("ID",),
    answers.RolePermissionSchema: ("ID",),
    PermissionSchema: ("ID",),
    RolePatchSchema: ("ID",),
    RoleCreateSchema: ("ID",),
}
_SECRETS: Final = frozenset({"password", "pass", "old", "new", "srcPassword", "bindPass"})

# The class is private to its module, which has one field of it.
_ATTACHMENT_SIZE: Final = type(SyncPolicySchema().fields["maxattsize"])

#: Fields of our own, of which apispec knows no type or not enough of it.
_TYPES: Final[dict[type[fields.Field[Any]], JSON]] = {
    QueryInt: {"type": "integer"},
    SortField: {"type": "string", "pattern": "^[^,]*(,(asc|desc)?)?$"},
    Properties: {"type": "object", "additionalProperties": {}},
    IdRef: {
        "oneOf": [
            {"type": "integer", "minimum": 0},
            {"type": "object", "required": ["ID"], "properties": {"ID": {"type": "integer", "minimum": 0}}},
        ]
    },
    PermissionTarget: {
        "oneOf": [{"type": "integer", "minimum": 0, "nullable": True}, {"type": "string", "enum": ["*", ""]}]
    },
    ProtocolVersion: {"oneOf": [{"type": "string", "maxLength": 32}, {"type": "number", "minimum": 0}]},
    IPAddress: {"type": "string", "maxLength": 45},
    _ATTACHMENT_SIZE: {
        "oneOf": [{"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, {"type": "string", "enum": [""]}]
    },
}
_PATTERNS: Final = {check_date: r"^\d{4}-\d{2}-\d{2}$", check_time: r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$"}

# Not a key of the application: those have to be set before it starts, and aiohttp warns about one that comes later.
_documents: WeakKeyDictionary[web.Application, bytes] = WeakKeyDictionary()


def document(app: web.Application) -> bytes:
    """The document as JSON, built when an application is asked for it for the first time."""
    if app not in _documents:
        _documents[app] = build()
    return _documents[app]


def build() -> bytes:
    """The document of the route table as JSON; the same bytes every time."""
    # Not at the top: a service that nobody asks for the document does without apispec's schemas, and the table imports
    # the handler that imports this module.
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    from postroom.app.routes import BASE, ROUTES

    plugin = MarshmallowPlugin(schema_name_resolver=_component_name)
    spec = APISpec("postroom", version("postroom"), "3.0.3", [plugin], info={"description": _DESCRIPTION})
    converter = cast("OpenAPIConverter", plugin.converter)  # APISpec has just set it
    converter.add_attribute_function(_describe_type)  # type: ignore[no-untyped-call]
    converter.add_attribute_function(_correct_terms)  # type: ignore[no-untyped-call]
    converter.add_parameter_attribute_function(_describe_parameter)

    for name, scheme in _SECURITY.items():
        spec.components.security_scheme(name, scheme)
    for name, text in _IDS.items():
        spec.components.parameter(name, "path", {"description": text, "schema": {"type": "integer", "minimum": 0}})
    csrf = {"description": "`csrf` of the login; needed with the cookie only", "required": False}
    spec.components.parameter("CSRFToken", "header", {"name": "X-Csrf-Token", **csrf, "schema": {"type": "string"}})
    for name, schema, text in _ERRORS.values():
        spec.components.response(name, _answer(text, schema()))
    for route in ROUTES:
        spec.path(route.path, operations={route.method.lower(): _operation(route)})
    _describe_components(converter, spec.components.schemas)

    # Once each, in the order of the table.
    tags = dict.fromkeys(tag for route in ROUTES for tag in _decorations(route)["tags"])
    made = {**spec.to_dict(), "servers": [{"url": BASE}], "tags": [{"name": tag} for tag in tags]}
    return orjson.dumps({part: made[part] for part in ("openapi", "info", "servers", "tags", "paths", "components")})


def _operation(route: "Route") -> JSON:
    decorations = _decorations(route)
    description = decorations.get("description") or inspect.getdoc(route.handler)
    operation = {
        "tags": list(decorations["tags"]),
        "summary": decorations["summary"],
        **({"description": description} if description else {}),
        "operationId": decorations["operationId"],
        **({"deprecated": True} if decorations.get("deprecated") else {}),
        **{name: value for name, value in decorations.items() if name.startswith("x-")},
        "security": _security(route),
        "parameters": _parameters(route),
    }
    for entry in decorations["schemas"]:
        if entry["location"] in _MEDIA_TYPES:
            content = {name: {"schema": _body(entry["schema"])} for name in _MEDIA_TYPES[entry["location"]]}
            # A login without anything renews the one in the cookie.
            required = entry["location"] == "json" and not getattr(entry["schema"], "optional", False)
            operation["requestBody"] = {"required": required, "content": content}
    operation["responses"] = {
        code: _answer(answer["description"], answer["schema"]) if "schema" in answer else dict(answer)
        for code, answer in decorations["responses"].items()
    }
    for status in _error_statuses(route, has_body="requestBody" in operation):
        operation["responses"].setdefault(str(status), _ERRORS[status][0])
    return operation


def _security(route: "Route") -> list[JSON]:
    if route.need is None:
        return []
    # An empty one says that it may be done without a login: from a trusted address.
    return [{name: []} for name in _SECURITY] + ([{}] if isinstance(route.need, AddressOr) else [])


def _body(schema: Any) -> Any:
    # The field that a bare array is loaded as is no part of what comes in.
    return {"type": "array", "items": {"type": "string"}} if hasattr(schema, "bare_list") else schema


def _decorations(route: "Route") -> JSON:
    found: JSON = vars(route.handler)["__apispec__"]
    return found


def _parameters(route: "Route") -> list[Any]:
    """References by name to the components, and schemas that apispec unfolds to one parameter for each field."""
    parameters: list[Any] = [
        name if name in _IDS else {"name": name, "in": "path", "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    # A login comes before there is a token that the header could belong to.
    if route.method != "GET" and _decorations(route)["operationId"] != "postLogin":
        parameters.append("CSRFToken")
    if _decorations(route)["operationId"] in _VERSIONED:
        parameters.append(_IF_MATCH)
    queries = [entry["schema"] for entry in _decorations(route)["schemas"] if entry["location"] == "querystring"]
    return parameters + [{"in": "query", "schema": schema} for schema in queries]


def _error_statuses(route: "Route", *, has_body: bool) -> list[int]:
    from postroom.app.routes import logged_in

    happens = {
        401: route.need is not None,
        403: route.need not in (None, logged_in),
        412: _decorations(route)["operationId"] in _VERSIONED,
        404: "{" in route.path and _decorations(route)["operationId"] != "getUserSyncPolicy",  # see its handler
        413: has_body,
    }
    own = _OWN_ERRORS.get(_decorations(route)["operationId"], ())
    return [status for status in _ERRORS if happens.get(status, True) or status in own]


def _answer(description: str, schema: Schema) -> JSON:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _component_name(schema: Any) -> str:
    """UserListSchema -> UserList. One of which every field may be missing has another name than the whole one."""
    name = (schema if isinstance(schema, type) else type(schema)).__name__.removesuffix("Schema")
    return f"{name}Partial" if getattr(schema, "partial", None) else name


def _describe_components(converter: "OpenAPIConverter", components: JSON) -> None:
    """Gives each schema the docstring of its class, which does not hold for one that may lack every field."""
    for (schema, *_), name in converter.refs.items():
        if schema.__doc__ and name == _component_name(schema):
            components[name]["description"] = inspect.cleandoc(schema.__doc__)


def _describe_type(converter: "OpenAPIConverter", field: fields.Field[Any], **_: Any) -> JSON:
    """What apispec cannot know about a field."""
    described: JSON = {}
    for field_type, known in _TYPES.items():
        if isinstance(field, field_type):
            described |= known
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


def _correct_terms(_converter: "OpenAPIConverter", field: fields.Field[Any], ret: JSON) -> JSON:
    """Changes in `ret` what apispec says in words that mean something else in OpenAPI 3.0."""
    word = {"array": "Items", "object": "Properties"}.get(ret.get("type", ""), "Length")
    for bound in ("min", "max"):
        if f"{bound}Length" in ret:
            ret[f"{bound}{word}"] = ret.pop(f"{bound}Length")
    if ret.get("pattern", "").endswith(r"\Z"):
        # Python's spelling of the end, with the start implied, in JavaScript's.
        ret["pattern"] = f"^(?:{ret['pattern'][:-2]})$"
    if "anyOf" in ret and field.allow_none:
        # apispec's alternative to the object is any object at all; null alone is meant.
        objects = [one for one in ret["anyOf"] if "$ref" in one]
        ret["anyOf"] = [*objects, {"type": "object", "nullable": True, "enum": [None]}]
    return ret


def _describe_parameter(_converter: "OpenAPIConverter", field: fields.Field[Any], **_: Any) -> JSON:
    described: JSON = {}
    if isinstance(field, CommaSeparated):
        described |= {"style": "form", "explode": False}
    if isinstance(field, QueryBool) or (isinstance(field, Text) and field.max_length == 0):
        described["allowEmptyValue"] = True
    if field.name in _QUERY_TEXTS:
        described["description"] = _QUERY_TEXTS[field.name]
    return described
