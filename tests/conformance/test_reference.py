"""Compares postroom's description with the public one, operation by operation: what it lacks and what it adds."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.description import JSON, REFERENCE, Description, matches, own, reference

Operation = tuple[str, str]


class Lack(NamedTuple):
    """A part of the public description that postroom's contract leaves out. The patterns match the whole text."""

    operations: str
    what: str
    why: str


#: Everything that postroom's operations lack.
LACKS = [
    Lack(
        "getUsers?|postUser|patchUser|putDownsync|getAllUsers|importLdapUser",
        r"20[01] (data\.\[\]\.)?fetchmail\.\[\]\.srcPassword",
        "the password of an account elsewhere is in no answer",
    ),
    Lack("getProfile", r"200 user\.realName", "the profile has a whole user, whose name is the property displayname"),
    Lack("getUserDomains|.*Domains?|getDomainInfo", r"(20[01]|body) (data\.\[\]\.)?homedir", "domains have no folder"),
    Lack(
        "postDomain", r"body (ID|displayname|activeUsers|inactiveUsers|virtualUsers)",
        "read-only, and there is nothing yet that a client could have read and send back",
    ),
    Lack(
        "getServers|getMlists|getFolders", r"200 data\.\[\]\..*|parameter .*",
        "of what postroom does not have, the list is empty, however it is asked for",
    ),
    Lack("getUserDomains", "404( message)?", "a list that may be empty is always there"),
]  # fmt: skip

#: Additions in every response that need no mark, because they are parts of a marked or known whole.
WHOLES = [
    ("getProfile", r"200 user\..*", "a whole user, of which the public description names two fields"),
    ("getAuthmgr", r"200 data\..*", "the selection once more, inside of `data`, which is marked"),
]  # fmt: skip


def inside(description: Description, schema: Any, prefix: str = "") -> dict[str, JSON]:
    """Every field of a schema by its path (`data.[].username`), at most five levels deep."""
    if not schema or prefix.count(".") > 4:
        return {}
    schema = description.resolve(schema)
    found: dict[str, JSON] = {}
    for combined in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(combined, []):
            found |= inside(description, part, prefix)
    for name, field in schema.get("properties", {}).items():
        needed = name in schema.get("required", [])
        found[prefix + name] = {**description.resolve(field), **field, "needed": needed}
        found |= inside(description, field, f"{prefix}{name}.")
    found |= inside(description, schema.get("items"), f"{prefix}[].")
    if isinstance(schema.get("additionalProperties"), dict):
        found |= inside(description, schema["additionalProperties"], f"{prefix}*.")
    return found


def contents(description: Description, operation: Operation) -> dict[str, JSON]:
    """Everything in the description of an operation: parameters, fields of bodies and responses, statuses."""
    found = {f"parameter {name}": {**each, "needed": each.get("required", False)}
             for name, each in description.parameters(operation).items()}  # fmt: skip
    described = description.operations[operation]
    for content in description.resolve(described.get("requestBody", {})).get("content", {}).values():
        found |= {f"body {name}": field for name, field in inside(description, content.get("schema")).items()}
    for status in described["responses"]:
        answer = description.answer(operation, int(status)) or {}
        found[status] = {"needed": False}
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        found |= {f"{status} {name}": field for name, field in inside(description, schema).items()}
    return found


def lacking(operation: Operation) -> set[str]:
    """The parts of the public description that postroom's lacks."""
    return contents(reference(), operation).keys() - contents(own(), operation).keys()


COMMON = [operation for operation in own().operations if operation in reference().operations]
every_common = pytest.mark.parametrize("operation", COMMON, ids=" ".join)


def operation_id(operation: Operation) -> str:
    """The name under which clients know the operation."""
    return str(own().operations[operation]["operationId"])


def test_every_operation_on_users_is_there() -> None:
    """All 27 operations with the tag "Domain Admin/Users" exist, and no others have it."""
    tagged = [
        {key for key, each in description.operations.items() if "Domain Admin/Users" in each["tags"]}
        for description in (reference(), own())
    ]
    assert len(tagged[0]) == 27
    assert tagged[0] == tagged[1]


#: The keys with text for people in a description.
WORDS = frozenset({"title", "summary", "description", "example", "examples", "externalDocs"})


def words_in(part: Any, *, names: bool = False) -> Iterator[str]:
    """The text for people in a part of a description; the keys of an object with `names` are not keywords."""
    if isinstance(part, list):
        for each in part:
            yield from words_in(each)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in WORDS and not names and value:
                yield f"{key}: {value}"
            yield from words_in(value, names=key in ("properties", "schemas", "paths") and not names)


def test_reference_holds_facts_only() -> None:
    """The copy of the public description has its names, types and bounds, but none of its texts or comments."""
    assert list(words_in(reference().document)) == []
    assert not any(line.lstrip().startswith("#") for line in REFERENCE.read_text("utf-8").splitlines())


@every_common
def test_name_and_tag_are_the_same(operation: Operation) -> None:
    """An operation has the name and tag of the public description, because generators use both as names.

    Of several tags it has only the first: an operation in two modules of one TypeScript client does not compile.
    """
    theirs, ours = reference().operations[operation], own().operations[operation]
    assert ours["operationId"] == theirs["operationId"]
    assert ours["tags"] == theirs["tags"][:1]
    assert ours.get("deprecated", False) == theirs.get("deprecated", False)


def test_names_are_unique() -> None:
    """No two operations have one name."""
    names = [operation_id(operation) for operation in own().operations]
    assert len(set(names)) == len(names)


@every_common
def test_nothing_is_lacking(operation: Operation) -> None:
    """Parameters, fields and statuses of the public description exist, except those in the table."""
    name = operation_id(operation)
    unexplained = {
        what
        for what in lacking(operation)
        if not any(matches(each.operations, name) and matches(each.what, what) for each in LACKS)
    }
    assert unexplained == set()


@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: f"{lack.operations} {lack.what}")
def test_exceptions_are_still_needed(lack: Lack) -> None:
    """Every entry of the table is really lacking: remove an exception together with its reason."""
    found = {operation_id(operation): lacking(operation) for operation in COMMON}
    assert any(matches(lack.operations, name) and matches(lack.what, what) for name in found for what in found[name])


@every_common
def test_additions_are_optional_or_marked(operation: Operation) -> None:
    """Additions are optional in requests, and marked where they are in every response."""
    theirs, ours, name = contents(reference(), operation), contents(own(), operation), operation_id(operation)
    # Many successes of the public description have no body. Here each has a message: clients parse every response.
    bodies = {what.split(" ")[0] for what in theirs if " " in what}
    for what in ours.keys() - theirs.keys():
        place, _, field = what.partition(" ")
        if not ours[what]["needed"] or (place not in bodies and field in ("message", "error")):
            continue
        if any(matches(operations, name) and matches(whole, what) for operations, whole, _ in WHOLES):
            continue
        assert ours[what].get("x-postroom"), what


@every_common
def test_added_statuses_are_failures(operation: Operation) -> None:
    """Statuses beyond the public description are failures only, which clients recognise by number."""
    added = own().operations[operation]["responses"].keys() - reference().operations[operation]["responses"].keys()
    assert added <= {"400", "401", "403", "404", "408", "409", "412", "413", "415", "429", "500", "503"}


def test_operations_of_our_own_are_marked() -> None:
    """Exactly the operations that the public description lacks are marked as additions."""
    marked = {operation for operation, each in own().operations.items() if each.get("x-postroom")}
    assert marked == own().operations.keys() - reference().operations.keys()


def test_paths_are_written_alike() -> None:
    """Paths have the parameters of the public description, in its spelling."""
    patterns = {re.sub(r"{\w+}", "{}", path): path for _, path in reference().operations}
    for _, path in own().operations:
        assert patterns.get(re.sub(r"{\w+}", "{}", path), path) == path
