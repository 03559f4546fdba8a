"""The OpenAPI document: true to the route table, and the same however often it is made."""

import copy
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from openapi_schema_validator import OAS30ReadValidator, OAS30Validator
from openapi_spec_validator import validate

from postroom.app.config import Config
from postroom.app.handlers import domains, roles, users
from postroom.app.handlers.docs import DOCUMENT
from postroom.app.main import create_app
from postroom.app.openapi.document import build
from postroom.app.routes import BASE, ROUTES
from postroom.app.server.runner import make_runner
from postroom.app.web.routing import AddressOr, Route, public

PASSWORD = "a long enough password"

#: Text without control characters, and text without NUL.
LINE, LINES = r"^[^\x00-\x1f\x7f]*$", r"^[^\x00]*$"

#: The names that clients were generated with.
OPERATION_IDS = {
    ("GET", "/domains/{domainID}/users"): "getUsers",
    ("POST", "/domains/{domainID}/users"): "postUser",
    ("GET", "/domains/{domainID}/users/{userID}"): "getUser",
    ("PATCH", "/domains/{domainID}/users/{userID}"): "patchUser",
    ("DELETE", "/domains/{domainID}/users/{userID}"): "deleteUser",
    ("GET", "/domains/{domainID}/users/{userID}/delegates"): "getDelegates",
    ("PUT", "/domains/{domainID}/users/{userID}/delegates"): "putDelegates",
    ("GET", "/domains/{domainID}/users/{userID}/sendas"): "getSendas",
    ("PUT", "/domains/{domainID}/users/{userID}/sendas"): "putSendas",
    ("GET", "/domains/{domainID}/users/{userID}/storeProps"): "getStoreProps",
    ("PATCH", "/domains/{domainID}/users/{userID}/storeProps"): "patchStoreProps",
    ("DELETE", "/domains/{domainID}/users/{userID}/storeProps"): "deleteStoreProps",
    ("GET", "/domains/{domainID}/users/{userID}/sync"): "getSyncedDevices",
    ("DELETE", "/domains/{domainID}/users/{userID}/sync"): "removeDeviceStates",
    ("DELETE", "/domains/{domainID}/users/{userID}/sync/{deviceID}"): "removeDeviceResync",
    ("PUT", "/domains/{domainID}/users/{userID}/sync/{deviceID}/resync"): "putDeviceResync",
    ("POST", "/domains/{domainID}/users/{userID}/sync/{deviceID}/wipe"): "postDeviceWipe",
    ("DELETE", "/domains/{domainID}/users/{userID}/sync/{deviceID}/wipe"): "cancelWipe",
    ("GET", "/domains/{domainID}/users/{userID}/storeAccess"): "getStoreAccessUsers",
    ("POST", "/domains/{domainID}/users/{userID}/storeAccess"): "postStoreAccessUser",
    ("PUT", "/domains/{domainID}/users/{userID}/storeAccess"): "putStoreAccessUser",
    ("DELETE", "/domains/{domainID}/users/{userID}/storeAccess/{username}"): "deleteStoreAccessUser",
    ("PUT", "/domains/{domainID}/users/{userID}/password"): "setPassword",
    ("PUT", "/domains/{domainID}/users/{userID}/downsync"): "putDownsync",
    ("GET", "/domains/{domainID}/users/{userID}/oof"): "oofSizeLarge",
    ("PUT", "/domains/{domainID}/users/{userID}/oof"): "setOofSize",
    ("GET", "/domains/{domainID}/syncPolicy"): "getDomainSyncPolicy",
    # What a client needs before and around those.
    ("GET", "/status"): "getStatus",
    ("GET", "/about"): "getAbout",
    ("POST", "/login"): "postLogin",
    ("GET", "/profile"): "getProfile",
    ("PUT", "/passwd"): "putPasswd",
    ("GET", "/service/syncPolicy/{username}"): "getUserSyncPolicy",
    ("GET", "/service/wipe/{username}"): "getUserDeviceWipeStatus",
    ("POST", "/service/wipe/{username}"): "setUserDeviceWipeStatus",
    ("GET", "/service/lastconnect/{username}"): "getUserDeviceLastConnect",
    ("GET", "/service/userinfo/{username}"): "getUserInformation",
    ("PUT", "/service/sync/{username}/{deviceID}"): "putDeviceReport",
    ("GET", "/service/oof/{username}"): "getServiceOof",
    ("GET", "/system/domains"): "getDomains",
    ("POST", "/system/domains"): "postDomain",
    ("GET", "/system/domains/{domainID}"): "getDomainInfo",
    ("PATCH", "/system/domains/{domainID}"): "patchDomain",
    ("DELETE", "/system/domains/{domainID}"): "deleteDomain",
    ("GET", "/domains"): "getUserDomains",
    ("GET", "/system/mconf/ldap"): "getLDAPConf",
    ("PUT", "/system/mconf/ldap"): "setLDAPConf",
    ("DELETE", "/system/mconf/ldap"): "deleteLDAPConf",
    ("GET", "/system/orgs"): "getOrgs",
    ("POST", "/system/orgs"): "postOrgs",
    ("GET", "/system/orgs/{ID}"): "getOrg",
    ("PATCH", "/system/orgs/{ID}"): "patchOrg",
    ("DELETE", "/system/orgs/{ID}"): "deleteOrg",
    ("GET", "/system/orgs/{ID}/ldap"): "getOrgLDAPConf",
    ("PUT", "/system/orgs/{ID}/ldap"): "setOrgLDAPConf",
    ("DELETE", "/system/orgs/{ID}/ldap"): "deleteOrgLDAPConf",
    ("GET", "/system/users"): "getAllUsers",
    ("GET", "/system/roles/permissions"): "getPermissions",
    ("GET", "/system/roles"): "getRoles",
    ("POST", "/system/roles"): "postRole",
    ("GET", "/system/roles/{ID}"): "getRole",
    ("PATCH", "/system/roles/{ID}"): "patchRole",
    ("DELETE", "/system/roles/{ID}"): "deleteRole",
    ("PATCH", "/domains/{domainID}/users/{userID}/roles"): "patchUserRoles",
    ("GET", "/users"): "getUsernames",
    ("PUT", "/passwd/{username}"): "resetPasswd",
    ("GET", "/defaults/createParams"): "getCreateParams",
    ("PUT", "/defaults/createParams"): "putCreateParams",
    ("PATCH", "/defaults/createParams"): "patchCreateParams",
    ("GET", "/defaults/createParams/{domainID}"): "getDomainDefaultParams",
    ("PUT", "/defaults/createParams/{domainID}"): "putDomainDefaultParams",
    ("PATCH", "/defaults/createParams/{domainID}"): "patchDomainDefaultParams",
    ("GET", "/defaults/storeLangs"): "getStoreLangs",
    ("GET", "/chkFormat"): "checkFormat",
    ("GET", "/system/servers"): "getServers",
    ("GET", "/system/license"): "getLicense",
    ("GET", "/domains/{domainID}/mlists"): "getMlists",
    ("GET", "/domains/{domainID}/folders"): "getFolders",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as a client reads it."""
    made: dict[str, Any] = json.loads(build(BASE, ROUTES))
    return made


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Where the API of a running service begins."""
    runner = make_runner(create_app(Config(database=":memory:", port=0, admin_password=PASSWORD)), 1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{BASE}"
    finally:
        await runner.cleanup()


def operation(document: dict[str, Any], route: Route) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][route.path][route.method.lower()]
    return found


def parameters(document: dict[str, Any], method: str, path: str) -> dict[str, dict[str, Any]]:
    """The parameters of an operation by name, with references followed."""
    found = [resolved(document, parameter) for parameter in document["paths"][path][method]["parameters"]]
    return {parameter["name"]: parameter for parameter in found}


def resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """The component that a part of the document refers to, or the part itself."""
    if "$ref" not in part:
        return part
    *_, kind, name = part["$ref"].split("/")
    component: dict[str, Any] = document["components"][kind][name]
    return component


def errors(document: dict[str, Any], component: str, value: Any, validator: Any = OAS30Validator) -> list[str]:
    """What keeps the value from being one of the component."""
    components = with_null(document["components"])
    schema = {"allOf": [{"$ref": f"#/components/schemas/{component}"}], "components": components}
    return [error.message for error in validator(schema).iter_errors(value)]


def with_null(part: Any) -> Any:
    """The document for a validator by the letter, to which a reference never may be null, whatever stands beside it."""
    if isinstance(part, list):
        return [with_null(each) for each in part]
    if not isinstance(part, dict):
        return part
    if part.keys() >= {"allOf", "nullable"}:
        return {"anyOf": [*part["allOf"], {"type": "object", "nullable": True, "enum": [None]}]}
    return {name: with_null(each) for name, each in part.items()}


every_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")


def test_document_is_valid(document: dict[str, Any]) -> None:
    """The document is valid OpenAPI 3.0."""
    validate(document)

    assert document["openapi"] == "3.0.3"
    assert document["info"]["title"] == "postroom"
    assert [server["url"] for server in document["servers"]] == ["/api/v1"]


def test_every_tag_is_explained(document: dict[str, Any]) -> None:
    """Each tag that an operation has is in the list of tags, once and with a description."""
    used = {tag for item in document["paths"].values() for found in item.values() for tag in found["tags"]}

    assert sorted(tag["name"] for tag in document["tags"]) == sorted(used)
    assert all(tag["description"] for tag in document["tags"])


@every_route
def test_operation_has_one_tag(document: dict[str, Any], route: Route) -> None:
    """Generators make a module of each tag; an operation in two of them would be exported twice."""
    assert len(operation(document, route)["tags"]) == 1


def every_schema(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document, of which all schemas are some, without the examples."""
    if isinstance(part, dict):
        yield part
        part = [each for name, each in part.items() if name not in ("example", "examples")]
    if isinstance(part, list):
        for each in part:
            yield from every_schema(each)


def test_what_generators_cannot_read_stands_nowhere(document: dict[str, Any]) -> None:
    """Null is no value of an enum, a null reference has the one form that is understood, keys are in no cookie."""
    for schema in every_schema(document):
        assert None not in (schema["enum"] if isinstance(schema.get("enum"), list) else [])
        if schema.get("nullable") and not {"type", "oneOf"} & schema.keys() and len(schema) > 1:
            assert [reference.keys() for reference in schema["allOf"]] == [{"$ref"}]
        assert schema.get("in") != "cookie"


def test_fields_of_bodies_have_no_default(document: dict[str, Any]) -> None:
    """What may be left out is told in words: generators take a field with a default for one that must be there."""
    for schema in every_schema(document["components"]["schemas"]):
        assert "default" not in schema
    assert document["components"]["schemas"]["WipeRequest"]["properties"]["status"]["description"] == "2 unless given"


def test_first_document_takes_no_time(tmp_path: Path) -> None:
    """A service that has just started has its first document in 300 ms, imports included, and the next at once."""
    script = (
        "import time; from postroom.app.config import Config; from postroom.app.main import create_app\n"
        "from postroom.app.handlers.docs import DOCUMENT\n"
        "app = create_app(Config(database=':memory:')); start = time.process_time()\n"
        "app[DOCUMENT](); first = time.process_time(); app[DOCUMENT]()\n"
        "print(first - start, time.process_time() - first)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    first, again = map(float, result.stdout.split())

    assert first < 0.3
    assert again < 0.001


def test_nothing_of_the_document_is_loaded_at_start(tmp_path: Path) -> None:
    """A service that nobody asks for its document does without what makes one."""
    script = "import sys, postroom.app.cli.main, postroom.app.server.serve; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    loaded = set(result.stdout.split())

    assert "postroom.app.openapi.document" in loaded
    assert not loaded & {"postroom.app.openapi.fields", "jsonschema", "jsonschema_rs", "schemathesis", "yaml"}


async def test_document_is_served_to_everybody(url: str, document: dict[str, Any]) -> None:
    """GET /openapi.json answers the document, with the same bytes again and again, to callers without a login."""
    async with ClientSession() as session:
        answers = [await (await session.get(f"{url}/openapi.json")).read() for _ in range(2)]

    assert answers[0] == answers[1]
    assert json.loads(answers[0]) == document


def test_two_applications_get_the_same_document() -> None:
    """A second application in the process gets exactly the document of the first."""
    first, second = (create_app(Config(database=":memory:")) for _ in range(2))

    assert first[DOCUMENT]() == second[DOCUMENT]()
    assert first[DOCUMENT]() == build(BASE, ROUTES)


def test_document_is_built_once() -> None:
    """An application that has its document does not build it again."""
    app = create_app(Config(database=":memory:"))
    assert app[DOCUMENT]() is app[DOCUMENT]()


def test_decorations_stay_as_they_are() -> None:
    """Building the document changes nothing of what the decorators left on a handler."""
    decorations, schemas = vars(users.get_user)["__apispec__"], vars(users.get_user)["__schemas__"]
    described = {**decorations, "responses": copy.copy(decorations["responses"]), "tags": list(decorations["tags"])}
    schema, fields = schemas[0]["schema"], list(schemas[0]["schema"].fields)

    build(BASE, ROUTES)

    assert decorations == described
    assert decorations["responses"]["200"].keys() == {"schema", "required", "description"}
    assert [entry["location"] for entry in schemas] == ["querystring"]
    assert schemas[0]["schema"] is schema
    assert list(schema.fields) == fields


def test_every_row_of_the_table_is_described_and_nothing_else(document: dict[str, Any]) -> None:
    """The operations of the document are the rows of the route table."""
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}

    assert described == {(route.method, route.path) for route in ROUTES}


def test_operation_ids_are_those_of_the_public_description(document: dict[str, Any]) -> None:
    """Clients find every operation under the name they were generated with, and no name stands twice."""
    ids = {
        (method.upper(), path): found["operationId"]
        for path, item in document["paths"].items()
        for method, found in item.items()
    }

    assert len(set(ids.values())) == len(ids)
    assert {row: name for row, name in ids.items() if row in OPERATION_IDS} == {
        row: name for row, name in OPERATION_IDS.items() if row in ids
    }


@every_route
def test_operation_tells_what_it_does(document: dict[str, Any], route: Route) -> None:
    """Every operation has a tag, a summary and a description."""
    found = operation(document, route)

    assert found["tags"]
    assert found["summary"]
    assert found["description"]


@every_route
def test_summary_is_short(document: dict[str, Any], route: Route) -> None:
    """A summary is a line on the page, of 60 characters at most and without a full stop."""
    summary = operation(document, route)["summary"]

    assert len(summary) <= 60
    assert not summary.endswith(".")


def test_summaries_tell_operations_apart(document: dict[str, Any]) -> None:
    """No two operations have one summary."""
    counts = Counter(operation(document, route)["summary"].casefold() for route in ROUTES)

    assert [summary for summary, count in counts.items() if count > 1] == []


@every_route
def test_parameters_and_answers_are_explained(document: dict[str, Any], route: Route) -> None:
    """Every parameter says what it does, and every answer what it means."""
    described = parameters(document, route.method.lower(), route.path)
    answers = operation(document, route)["responses"]

    assert [name for name, parameter in described.items() if not parameter.get("description")] == []
    assert [code for code, answer in answers.items() if not resolved(document, answer)["description"]] == []


@every_route
def test_operation_tells_who_may_use_it(document: dict[str, Any], route: Route) -> None:
    """An operation asks for the cookie or a Bearer exactly where its row has a need that an address cannot meet."""
    either: list[dict[str, list[str]]] = [{"JWTCookie": []}, {"bearer": []}]

    if isinstance(route.guard, AddressOr):
        either.append({})
    assert operation(document, route)["security"] == ([] if route.guard is public else either)


def test_deprecated_operations_are_marked(document: dict[str, Any]) -> None:
    """The operations that the public description calls deprecated are the only ones that this one does."""
    marked = {route.path for route in ROUTES if operation(document, route).get("deprecated")}

    assert marked == {"/domains/{domainID}/users/{userID}/storeProps"}


@every_route
def test_path_parameters_are_described(document: dict[str, Any], route: Route) -> None:
    """Each part of a path in braces is a parameter that has to be there: a number where it is an ID."""
    found = parameters(document, route.method.lower(), route.path)
    in_path = {name: parameter for name, parameter in found.items() if parameter["in"] == "path"}

    assert list(in_path) == re.findall(r"{(\w+)}", route.path)
    for name, parameter in in_path.items():
        assert parameter["required"]
        assert parameter["schema"]["type"] == ("integer" if name in ("domainID", "userID", "ID") else "string")


@every_route
def test_changes_take_the_header_against_forgery(document: dict[str, Any], route: Route) -> None:
    """X-Csrf-Token may be given wherever something changes, except for a login."""
    found = parameters(document, route.method.lower(), route.path)

    assert ("X-Csrf-Token" in found) == (route.method != "GET" and route.path not in ("/login", "/me/login"))
    assert not found.get("X-Csrf-Token", {}).get("required")


@every_route
def test_success_has_a_schema(document: dict[str, Any], route: Route) -> None:
    """Every operation tells what its success looks like; only those that create or take long have two."""
    answers = operation(document, route)["responses"]
    successes = {code: answer for code, answer in answers.items() if code < "300"}

    expected = 2 if route.path.endswith(("/importUser", "/ldap/downsync")) else 1
    assert len(successes) == expected
    for success in successes.values():
        assert success["description"]
        (content,) = success["content"].values()
        assert content["schema"]


@every_route
def test_failures_are_described(document: dict[str, Any], route: Route) -> None:
    """Every operation lists the errors that can happen to it, and no others: no 401 where everybody may, and so on."""
    found = operation(document, route)
    expected = {"400", "500", "503"}
    checked = route.guard is not public or route.path in ("/login", "/me/login", "/passwd")
    expected |= {"401"} if checked else set()
    # Also where a login is enough, it needs a role, or has to be no token.
    expected |= {"403"} if route.guard is not public or route.path == "/passwd" else set()
    # The ActiveSync server must never be told that there is no such user.
    expected |= {"404"} if "{" in route.path and route.path != "/service/syncPolicy/{username}" else set()
    # Domains and objects stand in the query.
    expected |= {"404"} if route.path.startswith("/domains/ldap/") and not route.path.endswith("/downsync") else set()
    # What a directory says, or is tested for, may be so no more when it is stored.
    asking = [("POST", "/ldap/importUser"), ("DELETE", "/ldap/check"), ("POST", "/ldap/downsync"), ("PUT", "/ldap")]
    asking += [("PUT", "/downsync")]
    expected |= {"409"} if any(route.method == verb and route.path.endswith(name) for verb, name in asking) else set()
    patched = (users.patch_user, domains.patch_domain, roles.patch_role, roles.patch_user_roles)
    versioned = route.handler in (*patched, users.delete_user) or (
        route.method == "PUT" and route.path.endswith(("/delegates", "/sendas", "/storeAccess", "/oof", "/forward"))
    )
    expected |= {"412"} if versioned else set()
    assert ("If-Match" in parameters(document, route.method.lower(), route.path)) == versioned
    expected |= {"408", "413", "415"} if "requestBody" in found else set()
    # Passwords and tokens are checked.
    expected |= {"429"} if checked else set()

    assert {code for code in found["responses"] if code >= "400"} == expected


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("InvalidRequest", "Error"),
        ("Unauthenticated", "Unauthenticated"),
        ("Forbidden", "Error"),
        ("NotFound", "Error"),
        ("TooLarge", "Error"),
        ("ServerError", "InternalError"),
        ("Unavailable", "InternalError"),
    ],
)
def test_failures_have_their_shape(document: dict[str, Any], name: str, schema: str) -> None:
    """Each kind of failure refers to the schema of the answer it has."""
    content = document["components"]["responses"][name]["content"]

    assert content["application/json"]["schema"] == {"$ref": f"#/components/schemas/{schema}"}


def test_login_is_a_form(document: dict[str, Any]) -> None:
    """A login is described as a form only (a generated client sends one body), or none; its password is never shown."""
    body = document["paths"]["/login"]["post"]["requestBody"]

    assert body["content"].keys() == {"application/x-www-form-urlencoded"}
    assert {content["schema"]["$ref"] for content in body["content"].values()} == {"#/components/schemas/Login"}
    assert not body["required"]
    assert document["components"]["schemas"]["Login"]["properties"]["pass"]["writeOnly"]


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("level", {"type": "integer", "minimum": 0, "default": 1}),
        ("limit", {"type": "integer", "minimum": 0, "default": 50}),
        ("match", {"type": "string", "maxLength": 1000, "default": "", "pattern": LINES}),
        ("username", {"type": "string", "maxLength": 320, "pattern": LINE}),
        ("ID", {"type": "array", "items": {"type": "integer", "minimum": 0}}),
        ("properties", {"type": "array", "items": {"type": "string", "maxLength": 100, "pattern": LINE}}),
    ],
)
def test_query_parameters_have_their_types(document: dict[str, Any], name: str, schema: dict[str, Any]) -> None:
    """A query parameter of a list of users is described with its type and bounds, and may be left out."""
    parameter = parameters(document, "get", "/domains/{domainID}/users")[name]

    assert parameter["in"] == "query"
    assert not parameter["required"]
    assert parameter["schema"] == schema


def test_lists_in_a_query_are_told_apart(document: dict[str, Any]) -> None:
    """`ID` stands once, with commas; `sort` may stand several times, and is text."""
    found = parameters(document, "get", "/domains/{domainID}/users")

    assert (found["ID"]["style"], found["ID"]["explode"]) == ("form", False)
    assert (found["sort"]["style"], found["sort"]["explode"]) == ("form", True)
    assert found["sort"]["schema"]["items"]["type"] == "string"


def test_limited_list_in_a_query_counts_entries(document: dict[str, Any]) -> None:
    """The two bounds of `maxUser` are at most two entries, not two characters."""
    found = parameters(document, "get", "/system/domains")["maxUser"]

    assert found["schema"] == {"type": "array", "items": {"type": "integer", "minimum": 0}, "maxItems": 2}


def test_flag_in_a_query_needs_no_value(document: dict[str, Any]) -> None:
    """`force` is true or false, and may stand without a value."""
    found = parameters(document, "put", "/system/mconf/ldap")["force"]

    assert found["schema"]["type"] == "boolean"
    assert found["allowEmptyValue"]


def test_components_have_plain_names(document: dict[str, Any]) -> None:
    """No component bears a number because its name was taken."""
    names = list(chain.from_iterable(document["components"].values()))

    assert {"User", "UserList", "UserCreate", "UserPatch", "Domain", "Org", "Error"} <= set(names)
    assert [name for name in names if name[-1].isdigit()] == []


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("UserCreate", "password"),
        ("NewPassword", "new"),
        ("ChangePassword", "old"),
        ("Fetchmail", "srcPassword"),
        ("LdapConnection", "bindPass"),
    ],
)
def test_passwords_are_written_only(document: dict[str, Any], component: str, name: str) -> None:
    """A password is marked as one that no answer holds."""
    assert document["components"]["schemas"][component]["properties"][name]["writeOnly"]


@pytest.mark.parametrize(("component", "name"), [("User", "ID"), ("UserPatch", "roles"), ("Domain", "activeUsers")])
def test_what_cannot_be_set_is_read_only(document: dict[str, Any], component: str, name: str) -> None:
    """A field that clients send back as they read it is marked as one they cannot change."""
    assert document["components"]["schemas"][component]["properties"][name]["readOnly"]


@pytest.mark.parametrize(
    ("component", "name", "value", "valid"),
    [
        ("OrgPatch", "domains", [1, {"ID": 2, "domainname": "example.org"}], True),
        ("OrgPatch", "domains", ["1"], False),
        ("OrgCreate", "domains", [{"domainname": "example.org"}], False),
        ("RolePatch", "users", [1, {"ID": 2}], True),
        ("UserRoles", "roles", [None], False),
    ],
)
def test_lists_of_ids_have_their_type(
    document: dict[str, Any], component: str, name: str, value: Any, valid: bool
) -> None:
    """Where things are named by ID, an ID or an object that has one is described, and nothing else."""
    assert (errors(document, component, {"name": "x", name: value}) == []) == valid


@pytest.mark.parametrize("value", [None, {"forwardType": 0, "destination": "x@example.org"}])
def test_nested_object_may_be_null(document: dict[str, Any], value: Any) -> None:
    """A forward is null or a whole forward."""
    assert errors(document, "UserPatch", {"forward": value}) == []


@pytest.mark.parametrize("value", [{}, {"forwardType": 7, "destination": "x@example.org"}, 1, ""])
def test_nested_object_is_nothing_else(document: dict[str, Any], value: Any) -> None:
    """A forward that lacks something is no forward, although it may be null."""
    assert errors(document, "UserPatch", {"forward": value}) != []


@pytest.mark.parametrize(("value", "valid"), [("", True), (1024, True), ("1024", False), (-1, False)])
def test_attachment_size_is_a_number_or_nothing(document: dict[str, Any], value: Any, valid: bool) -> None:
    """The largest attachment of a policy is a number, or empty text for no limit."""
    assert (errors(document, "SyncPolicy", {"maxattsize": value}) == []) == valid


@pytest.mark.parametrize(("value", "valid"), [("AA:0B", True), ("", True), (None, True), ("AA:0BZ", False)])
def test_pattern_is_one_for_javascript(document: dict[str, Any], value: Any, valid: bool) -> None:
    """A pattern means in the document what it means in Python."""
    assert (errors(document, "Fetchmail", {"sslFingerprint": value}) == []) == valid
    assert r"\Z" not in json.dumps(document)


async def test_answers_are_as_described(url: str, document: dict[str, Any]) -> None:
    """What the service answers is valid by the schema that the document has for it."""
    async with ClientSession() as session:

        async def call(method: str, path: str, component: str, **options: Any) -> Any:
            async with session.request(method, url + path, **options) as response:
                body = await response.json()
            assert errors(document, component, body, OAS30ReadValidator) == [], body
            return body

        login = await call("POST", "/login", "LoginAnswer", data={"user": "admin", "pass": PASSWORD})
        await call("GET", "/profile", "Unauthenticated")
        session.headers["Authorization"] = f"Bearer {login['grommunioAuthJwt']}"
        org = await call("POST", "/system/orgs", "Org", json={"name": "House"})
        new_domain = {"domainname": "example.org", "maxUser": 5, "orgID": org["ID"]}
        domain = await call("POST", "/system/domains", "Domain", json=new_domain)
        path = f"/domains/{domain['ID']}/users"
        forward = {"forwardType": 1, "destination": "x@example.net"}
        new_user = {"username": "anna", "password": PASSWORD, "forward": forward, "properties": {"comment": "x"}}
        user = await call("POST", path, "User", json=new_user)
        await call("GET", f"{path}/{user['ID']}", "User")
        for level in (0, 1, 2):
            await call("GET", f"{path}?level={level}", "UserList")
            await call("GET", f"/system/domains?level={level}", "DomainList")
            await call("GET", f"/system/orgs?level={level}", "OrgList")
        await call("PUT", f"{path}/{user['ID']}/oof", "Message", json={"state": 1, "internalSubject": ""})
        await call("GET", f"{path}/{user['ID']}/oof", "Oof")
        await call("GET", "/service/oof/anna@example.org", "ServiceOof")
        await call("PATCH", f"{path}/{user['ID']}/storeProps", "StorePropsErrors", json={"title": "Dr", "x": 1})
        await call("GET", f"{path}/{user['ID']}/storeProps?properties=title,comment", "StoreProps")
        await call("DELETE", f"{path}/{user['ID']}/storeProps?properties=title", "Message")
        await call("GET", f"/domains/{domain['ID']}/syncPolicy", "SyncPolicyAnswer")
        sync = f"{path}/{user['ID']}/sync"
        await call("PUT", "/service/sync/anna@example.org/phone", "DeviceDue", json={"asversion": 16.1})
        await call("POST", f"{sync}/tablet/wipe", "Message", json={"password": PASSWORD})
        await call("POST", "/service/wipe/anna@example.org?devices=tablet", "Message", json={"status": 4})
        await call("GET", sync, "DeviceList")
        await call("GET", "/service/wipe/anna@example.org", "DeviceStatuses")
        await call("GET", "/service/lastconnect/anna@example.org", "DeviceContacts")
        await call("GET", "/service/userinfo/anna@example.org", "UserInformation")
        await call("GET", "/service/syncPolicy/anna@example.org", "SyncPolicyAnswer")
        await call("PUT", f"{sync}/phone/resync", "Message")
        await call("DELETE", f"{sync}/tablet/wipe", "Message")
        await call("DELETE", f"{sync}/phone", "Message")
        await call("DELETE", sync, "Message")
        permissions = [{"permission": "SystemAdminRO"}, {"permission": "OrgAdmin", "params": org["ID"]}]
        role = await call("POST", "/system/roles", "Role", json={"name": "Readers", "permissions": permissions})
        await call("PATCH", f"{path}/{user['ID']}/roles", "UserRolesAnswer", json={"roles": [role["ID"]]})
        await call("GET", f"/system/roles/{role['ID']}", "Role")
        await call("PATCH", f"/system/roles/{role['ID']}", "Role", json={"description": "Look, do not touch"})
        for level in (0, 1, 2):
            await call("GET", f"/system/roles?level={level}", "RoleList")
            await call("GET", f"/system/users?level={level}", "UserList")
        await call("DELETE", f"/system/roles/{role['ID']}", "Message")
        await call("GET", "/system/roles/permissions", "PermissionNames")
        await call("GET", "/users", "Usernames")
        await call("PUT", "/passwd/anna@example.org", "Message", json={"new": PASSWORD})
        for where in ("/defaults/createParams", f"/defaults/createParams/{domain['ID']}"):
            defaults = {"user": {"smtp": True, "properties": {"comment": "x"}}, "domain": {"maxUser": 5}}
            await call("PUT", where, "Message", json=defaults)
            await call("PATCH", where, "Message", json={"user": {"storagequotalimit": "1 GiB"}})
            await call("GET", where, "CreateDefaultsAnswer")
        await call("GET", "/defaults/storeLangs", "StoreLangs")
        await call("GET", "/chkFormat?email=x&domain=example.org", "Format")
        for where in ("/system/servers", f"/domains/{domain['ID']}/mlists", f"/domains/{domain['ID']}/folders"):
            await call("GET", where, "EmptyList")
        await call("GET", "/system/license", "License")
        await call("GET", "/system/mconf/ldap", "LdapConfigAnswer")
        await call("GET", "/profile", "Profile")
        await call("GET", "/status", "Status")
        await call("GET", "/about", "About")
        await call("PATCH", f"{path}/{user['ID']}", "Error", json={"unknown": 1})
        await call("PUT", f"{path}/{user['ID']}/downsync", "Error")
        await call("DELETE", f"{path}/{user['ID']}", "Message")
        await call("GET", f"{path}/{user['ID']}", "Error")
