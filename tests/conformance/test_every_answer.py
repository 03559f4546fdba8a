"""The hook that compares every response of every HTTP test with the descriptions notices each kind of breach."""

from typing import Any

import pytest
from aiohttp import web

from postroom.app.handlers import status
from postroom.app.web.responses import json_response
from tests.support.conformance import EXCEPTIONS, Conformance, Exception_
from tests.support.description import Description, own, reference
from tests.support.service import Api, Service


@pytest.mark.parametrize(
    ("answer", "code", "found"),
    [
        ({"message": "x", "database": "yes", "tasq": True, "engine": "x"}, 200, "/database"),
        ({"message": "x", "database": True, "engine": "x"}, 200, "tasq"),
        ({"message": "x", "database": True, "tasq": True, "engine": "x", "more": 1}, 200, "more"),
        ({"message": "x"}, 418, "418 is not described"),
    ],
)
async def test_answer_that_is_not_as_described(
    service: Service, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], code: int, found: str
) -> None:
    """A wrong type, a missing field, an additional field and an unknown status in a response are each noticed."""
    monkeypatch.setattr(status, "json_response", lambda _: json_response(answer, code))
    async with service.session.get(f"{service.url}/api/v1/status"):
        pass
    (first, *_) = service.conformance.breaches
    service.conformance.breaches.clear()
    assert found in first
    assert "getStatus" in first


async def test_request_that_is_not_as_described(service: Service, admin: Api, domain: int) -> None:
    """A request that succeeds although the public description forbids it is noticed, unless an exception lists it."""
    user = await admin.make_user(domain, "jane")
    hook, path = service.conformance, ("PATCH", "/domains/{domainID}/users/{userID}")
    for body, noticed in (({"smtp": "yes"}, 2), ({"lang": None}, 0), ({"smtp": True}, 0)):
        request = _Request("PATCH", f"/domains/{domain}/users/{user['ID']}", body)
        hook._check_request(path, request)  # type: ignore[arg-type]
        assert len(hook.breaches) == noticed
        hook.breaches.clear()


class _Request:
    content_type = "application/json"

    def __init__(self, method: str, path: str, body: Any) -> None:
        self.method, self.path = method, path
        self._read_bytes = json_response(body).body


@pytest.mark.parametrize("exception", EXCEPTIONS, ids=lambda each: f"{each.direction} {each.operation} {each.where}")
def test_exceptions_name_operations_that_exist(exception: Exception_) -> None:
    """Each exception names an operation of the public description and gives a reason."""
    names = {each["operationId"] for each in reference().operations.values()}
    assert set(exception.operation.split("|")) <= names
    assert exception.why


@pytest.mark.parametrize("description", [own(), reference()], ids=["own", "public"])
def test_every_body_can_be_checked(description: Description) -> None:
    """Every schema of both descriptions makes a validator, so no body is left unchecked."""
    for operation, described in description.operations.items():
        for status_code in described["responses"]:
            list(description.answer_breaches(operation, int(status_code), {}))
        list(description.body_breaches(operation, {}))


def test_what_is_written_only_is_in_no_answer() -> None:
    """By postroom's own description, a password is a breach in a response, but not in a request."""
    schema = {"$ref": "#/components/schemas/LdapConnection"}
    value = {"server": "ldap://127.0.0.1", "bindPass": "secret"}
    assert not own().validator(schema, "answer").is_valid(value)
    assert own().validator(schema, "request").is_valid(value)


async def test_paths_that_lead_nowhere_are_passed_over(service: Service) -> None:
    """A path that is not an operation is not checked."""
    for path in ("/nope", "/api/v1/nope", "/docs"):
        async with service.session.get(service.url + path):
            pass
    assert service.conformance.breaches == []


async def test_hook_is_called_by_the_application(service: Service) -> None:
    """The hook is part of the application under test, so no client can avoid it."""
    hooks = [getattr(hook, "__self__", None) for hook in service.app.on_response_prepare]
    assert service.conformance in hooks
    assert isinstance(service.conformance, Conformance)
    assert isinstance(service.app, web.Application)
