"""Builds the OpenAPI 3 document of the API from the route table and the decorators of its handlers.

aiohttp-apispec could build one itself, but in Swagger 2.0. It also modifies the data of the decorators, so a second
application in the same process would get a different document. This module modifies nothing.
"""

import inspect
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from marshmallow import Schema

from postroom.app.openapi.about import API, About
from postroom.app.openapi.example_calls import Examples
from postroom.app.openapi.failures import ERRORS, OWN_ERRORS, RETRY_AFTER
from postroom.app.web.ndjson import CONTENT_TYPE as NDJSON
from postroom.app.web.routing import AddressOr, NoPages, Route, public

if TYPE_CHECKING:
    from apispec import APISpec
    from apispec.ext.marshmallow.openapi import OpenAPIConverter

JSON = dict[str, Any]

#: Operations that check If-Match: they refuse to overwrite a change that the client has not read.
_VERSIONED: Final = frozenset({
    "patchUser", "deleteUser", "patchUserRoles", "putDelegates", "putSendas", "putStoreAccessUser", "setOofSize",
    "patchDomain", "patchRole", "putMyOof", "putMyForward", "putMyDelegates", "putMySendas",
})  # fmt: skip
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of what was read; a change by somebody else since then is a 412. Optional",
    "schema": {"type": "string"},
}

# A form may also be JSON. The document names only one type, because generated clients would send both at once.
_JSON: Final = "application/json"
_MEDIA_TYPES: Final = {"json": _JSON, "form": "application/x-www-form-urlencoded"}


def build(base: str, routes: Sequence[Route], about: About = API) -> bytes:
    """The document of a route table as JSON; the same bytes every time. `base` is the prefix of every path."""
    # Imported here: without a request for the document, the service needs none of this.
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    from postroom.app.openapi.fields import COMPONENTS, correct_terms, describe_parameter, describe_type

    plugin = MarshmallowPlugin(schema_name_resolver=_component_name)
    spec = APISpec(about.title, version("postroom"), "3.0.3", [plugin], info={"description": about.description})
    converter = cast("OpenAPIConverter", plugin.converter)  # APISpec has just set it
    converter.add_attribute_function(describe_type)  # type: ignore[no-untyped-call]
    converter.add_attribute_function(correct_terms)  # type: ignore[no-untyped-call]
    converter.add_parameter_attribute_function(describe_parameter)

    for name, scheme in about.security.items():
        spec.components.security_scheme(name, scheme)
    for name, text in about.ids.items():
        spec.components.parameter(name, "path", {"description": text, "schema": {"type": "integer", "minimum": 0}})
    for name, header in about.headers.items():
        spec.components.parameter(name, "header", header)
    for name, component in COMPONENTS.items():
        spec.components.schema(name, component)
    examples = Examples(about.examples())
    for status, (name, schema, text) in ERRORS.items():
        headers = {"headers": RETRY_AFTER} if status == 429 else {}
        spec.components.response(name, {**_response(text, schema(), examples.failures(status)), **headers})
    for route in routes:
        _add_lines(spec, route)
        spec.path(route.path, operations={route.method.lower(): _operation(route, examples, about)})
    _describe_components(converter, spec.components.schemas)

    # Each tag once, in the order of the route table.
    tags = [
        {"name": name, "description": about.tags[name]} for name in dict.fromkeys(_tag_name(route) for route in routes)
    ]
    made = {**spec.to_dict(), "servers": [{"url": base, "description": "Where this document comes from"}], "tags": tags}
    return orjson.dumps({part: made[part] for part in ("openapi", "info", "servers", "tags", "paths", "components")})


def _tag_name(route: Route) -> str:
    return str(_decorations(route)["tags"][0])


def _operation(route: Route, examples: Examples, about: About) -> JSON:
    decorations = _decorations(route)
    description = decorations.get("description") or inspect.getdoc(route.handler)
    operation = {
        # openapi-generator makes a module of each tag. Two TypeScript modules with the same exports do not compile.
        "tags": [_tag_name(route)],
        "summary": decorations["summary"],
        **({"description": description} if description else {}),
        "operationId": decorations["operationId"],
        **({"deprecated": True} if decorations.get("deprecated") else {}),
        **{name: value for name, value in decorations.items() if name.startswith("x-")},
        "security": _security(route, about),
        "parameters": _parameters(route, about),
    }
    for entry in decorations["schemas"]:
        if entry["location"] in _MEDIA_TYPES:
            shown = examples.requests(decorations["operationId"])
            content = {_MEDIA_TYPES[entry["location"]]: {"schema": _body(entry["schema"]), **shown}}
            # A login without a body renews the login of the cookie.
            required = entry["location"] == "json" and not getattr(entry["schema"], "optional", False)
            operation["requestBody"] = {"required": required, "content": content}
    lines = decorations.get("lines")
    if lines is not None:
        content = {NDJSON: {"schema": _lines_of(lines), **examples.requests(decorations["operationId"])}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = {
        code: _response(
            found["description"],
            found["schema"] if lines is None else _lines_of(found["schema"]),
            examples.answers(decorations["operationId"], int(code)),
            _JSON if lines is None else NDJSON,
        )
        for code, found in decorations["responses"].items()
    }
    for status in _error_statuses(route, has_body="requestBody" in operation):
        operation["responses"].setdefault(str(status), ERRORS[status][0])
    return operation


def _needs_login(route: Route) -> bool:
    return route.guard is not None and not isinstance(route.guard, NoPages)


def _security(route: Route, about: About) -> list[JSON]:
    if not _needs_login(route):
        return []
    # The empty requirement means: no login is needed, from a trusted address.
    return [{name: []} for name in about.security] + ([{}] if isinstance(route.guard, AddressOr) else [])


def _body(schema: Any) -> Any:
    # A bare array has no field name; the schema's field for it is internal.
    return {"type": "array", "items": {"type": "string"}} if hasattr(schema, "bare_list") else schema


def _decorations(route: Route) -> JSON:
    found: JSON = vars(route.handler)["__apispec__"]
    return found


def _parameters(route: Route, about: About) -> list[Any]:
    """Names of component parameters, and schemas that apispec expands to one parameter for each field."""
    names = re.findall(r"{(\w+)}", route.path)
    parameters: list[Any] = [name if name in about.ids else _path_text(name, about) for name in names]
    # At the login there is no token yet for which the header could be needed.
    if route.method != "GET" and _decorations(route)["operationId"] not in ("postLogin", "postMyLogin"):
        parameters += about.headers
    if _decorations(route)["operationId"] in _VERSIONED:
        parameters.append(_IF_MATCH)
    queries = [entry["schema"] for entry in _decorations(route)["schemas"] if entry["location"] == "querystring"]
    return parameters + [{"in": "query", "schema": schema} for schema in queries]


def _path_text(name: str, about: About) -> JSON:
    description, bounds = about.path_texts[name]
    return {"name": name, "in": "path", "description": description, "schema": {"type": "string", **bounds}}


def _error_statuses(route: Route, *, has_body: bool) -> list[int]:
    happens = {
        401: _needs_login(route),
        # Also where every login is enough: it may be one without a role, or become one before the write.
        403: route.guard is not public,
        412: _decorations(route)["operationId"] in _VERSIONED,
        404: "{" in route.path and _decorations(route)["operationId"] != "getUserSyncPolicy",  # see its handler
        408: has_body,
        409: False,
        429: _needs_login(route),
        413: has_body,
        415: has_body,
    }
    own = OWN_ERRORS.get(_decorations(route)["operationId"], ())
    return [status for status in ERRORS if happens.get(status, True) or status in own]


def _response(description: str, schema: Schema | JSON, shown: JSON, media_type: str = _JSON) -> JSON:
    return {"description": description, "content": {media_type: {"schema": schema, **shown}}}


def _lines_of(schema: Schema) -> JSON:
    # OpenAPI 3.0 has no words for the lines of a text, so only the extension says what each of them is.
    return {"type": "string", "x-postroom-lines": {"$ref": f"#/components/schemas/{_component_name(schema)}"}}


def _add_lines(spec: "APISpec", route: Route) -> None:
    decorations = _decorations(route)
    if "lines" in decorations:
        for schema in (decorations["lines"], *(found["schema"] for found in decorations["responses"].values())):
            spec.components.schema(_component_name(schema), schema=schema)


def _component_name(schema: Any) -> str:
    """UserListSchema -> UserList. A partial schema, in which all fields are optional, is called UserListPartial."""
    name = (schema if isinstance(schema, type) else type(schema)).__name__.removesuffix("Schema")
    return f"{name}Partial" if getattr(schema, "partial", None) else name


def _describe_components(converter: "OpenAPIConverter", components: JSON) -> None:
    """Gives each schema the docstring of its class, except partial ones, for which it would be wrong."""
    for (schema, *_), name in converter.refs.items():
        if schema.__doc__ and name == _component_name(schema):
            components[name]["description"] = inspect.cleandoc(schema.__doc__)
