"""Bringing many users up to date from the directory, against a real OpenLDAP server."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.service import Api
from tests.support.slapd import Slapd, config_document, people_ldif

pytestmark = pytest.mark.slapd
CONFIG = "/system/mconf/ldap"
EVERYONE = "/domains/ldap/downsync"
WAIT = {"timeout": "60"}


@pytest.fixture(scope="module")
def running_slapd() -> Iterator[Slapd]:
    """One server for all tests of this file, with a dozen people."""
    with Slapd() as server:
        server.add(people_ldif(12))
        yield server


@pytest.fixture
async def ldap_domain(admin: Api, running_slapd: Slapd) -> int:
    """A domain example.com of a service with the directory configured."""
    await admin.put(CONFIG, config_document(running_slapd))
    return await admin.make_domain("example.com")


async def sync(api: Api, path: str = EVERYONE, **params: str) -> dict[str, Any]:
    """The answer of an update that comes to its end."""
    answer = await api.call("POST", path, params={**WAIT, **params})
    assert answer.status == 200, answer.body
    return dict(answer.body)


def actions(answer: dict[str, Any]) -> Counter[str]:
    """How often each action was taken."""
    return Counter(item["action"] for item in answer["data"])


async def test_import_then_nothing_to_do(admin: Api, ldap_domain: int) -> None:
    """Everybody is created once; a second run finds them unchanged and writes nothing."""
    first = await sync(admin, **{"import": "true"})
    assert actions(first) == {"create": 12}
    assert "12 created" in first["message"]
    users = await admin.get(f"/domains/{ldap_domain}/users", params={"level": "2"})
    assert users["count"] == 12
    assert {item["ID"] for item in first["data"]} == {user["ID"] for user in users["data"]}
    assert all(item["code"] == 201 for item in first["data"])
    second = await sync(admin, **{"import": "true"})
    assert actions(second) == {"unchanged": 12}
    assert await admin.get(f"/domains/{ldap_domain}/users", params={"level": "2"}) == users
