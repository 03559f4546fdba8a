"""The OpenAPI document has an example for everything, and each is a real response of the service."""

from typing import Any

import pytest

from postroom.app.openapi.example_calls import load
from tests.conformance import examples
from tests.support.description import METHODS, Description, own, reference


def shown(content: dict[str, Any]) -> list[Any]:
    """The examples of one media type."""
    return [content["example"]] if "example" in content else [each["value"] for each in content["examples"].values()]


def has_example(content: dict[str, Any]) -> bool:
    """Whether there is at least one."""
    return "example" in content or bool(content.get("examples"))


@pytest.mark.slapd
async def test_examples_are_what_a_service_answers() -> None:
    """Played in order against a fresh service, every example gets the response that it shows."""
    async with examples.stage() as (service, directory):
        for entry in load():
            if entry.get("played", True):
                found = await examples.play(service, directory, entry)
                assert found == (entry["status"], entry["answer"]), f"{entry['operation']} {entry['at']}"


def test_only_what_cannot_be_brought_about_is_not_played() -> None:
    """Every example is played except those that cannot be produced quickly or reliably.

    These are the internal error, a body that takes half a minute, cancelling a task before it ends, and ending a login
    whose ID is made at random.
    """
    unplayed = [(entry["operation"], entry["status"]) for entry in load() if not entry.get("played", True)]
    of_logins = [("deleteMySession", 200), ("deleteSession", 200)]
    assert unplayed == [("postUser", 408), *of_logins, ("cancelTask", 200), ("getStatus", 500)]


@pytest.mark.parametrize("operation", own().operations, ids=" ".join)
def test_every_operation_has_its_examples(operation: tuple[str, str]) -> None:
    """Each body that an operation takes, each success and each failure that it documents has an example.

    For an operation that lacks one: add it to app/openapi/examples/ and run `python -m tests.conformance.examples`.
    """
    described = own().operations[operation]
    for media_type, content in described.get("requestBody", {"content": {}})["content"].items():
        assert has_example(content), f"no example of a body, {media_type}"
    for status in described["responses"]:
        answer = own().answer(operation, int(status))
        assert answer is not None
        for content in answer["content"].values():
            assert has_example(content), f"no example of status {status}"


@pytest.mark.parametrize("operation", own().operations, ids=" ".join)
def test_every_operation_documents_its_failures(operation: tuple[str, str]) -> None:
    """Every operation documents the failures that all have: bad input, an internal error, an unavailable database."""
    assert {"400", "500", "503"} <= own().operations[operation]["responses"].keys()


@pytest.mark.parametrize("operation", own().operations, ids=" ".join)
def test_examples_are_valid(operation: tuple[str, str]) -> None:
    """Each example matches its schema, and that of the public description."""
    described = own().operations[operation]
    descriptions: list[Description] = [own()] + [reference()] * (operation in reference().operations)
    for content in described.get("requestBody", {"content": {}})["content"].values():
        for value in shown(content):
            for description in descriptions:
                assert [*description.body_breaches(operation, value)] == []
    for status in described["responses"]:
        answer = own().answer(operation, int(status))
        assert answer is not None
        for value in [value for content in answer["content"].values() for value in shown(content)]:
            for description in descriptions:
                if description.answer(operation, int(status)) is not None:
                    assert [*description.answer_breaches(operation, int(status), value)] == []


def test_examples_name_operations_that_exist() -> None:
    """No example is left of an operation that was removed."""
    names = {
        item[method]["operationId"] for item in own().document["paths"].values() for method in METHODS if method in item
    }
    assert {entry["operation"] for entry in load()} <= names


def test_examples_show_no_secret() -> None:
    """Tokens in examples are made up and give no access."""
    (login,) = [entry for entry in load() if (entry["operation"], entry["status"]) == ("postLogin", 200)]
    assert login["answer"] == {name: examples.VOLATILE[name] for name in ("grommunioAuthJwt", "csrf")}
