"""Plugins of the webmail that are disabled in a domain."""

import asyncio
from typing import Any

import pytest

from tests.conftest import StartService
from tests.support.service import ADMIN_PASSWORD, Api, Service


async def names(api: Api, domain: int = 1) -> list[str]:
    """The disabled plugins of a domain."""
    found: list[str] = (await api.get(f"/domains/{domain}/disabledPlugins"))["data"]
    return found


async def test_storing(admin: Api, domain: int) -> None:
    """A list is stored as it is, in its order, without repeats; an empty one, too; it starts empty."""
    path = f"/domains/{domain}/disabledPlugins"
    assert await admin.get(path) == {"data": []}
    for given, stored in [
        (["files", "chat", "files"], ["files", "chat"]),
        (["S/MIME", 'quote"d', "ümläut", "日本", "a, b"], ["S/MIME", 'quote"d', "ümläut", "日本", "a, b"]),
        (["Chat", "chat"], ["Chat", "chat"]),
        ([f"p{number}" for number in range(100)], [f"p{number}" for number in range(100)]),
        ([], []),
    ]:
        await admin.put(path, given)
        assert await names(admin) == stored


@pytest.mark.parametrize(
    "body", [{}, {"data": []}, "chat", [1], [None], [["chat"]], ["a\nb"], ["a\0b"], [""], ["x" * 65], ["a"] * 101],
    ids=repr,
)  # fmt: skip
async def test_lists_that_are_none(admin: Api, domain: int, body: Any) -> None:
    """What is no list of short names is a 400, and what was stored stays."""
    path = f"/domains/{domain}/disabledPlugins"
    await admin.put(path, ["chat"])
    await admin.refused(400, "PUT", path, body)
    assert await names(admin) == ["chat"]


async def test_who_may(service: Service, admin: Api, domain: int) -> None:
    """Who reads the domain sees the list, who writes there changes it; other domains are not theirs, or not there."""
    other = await admin.make_domain("other.org")
    reader = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}), name="reader")
    writer = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}), name="writer")
    await writer.put(f"/domains/{domain}/disabledPlugins", ["chat"])
    assert await names(reader) == ["chat"]
    await reader.refused(403, "PUT", f"/domains/{domain}/disabledPlugins", [])
    for caller, status, path in ((writer, 403, other), (admin, 404, 99), (admin, 404, "x")):
        await caller.refused(status, "GET", f"/domains/{path}/disabledPlugins")
        await caller.refused(status, "PUT", f"/domains/{path}/disabledPlugins", [])
    assert await names(admin, other) == []


async def test_for_the_webmail(service: Service, admin: Api, domain: int) -> None:
    """A user gets the list of their domain, by username or alias in any case, without a login from this host."""
    await admin.make_user(domain, "jane", aliases=["j@example.org"], altnames=[{"altname": "plain"}])
    await admin.put(f"/domains/{domain}/disabledPlugins", ["chat", "files"])
    for name in ("jane@example.org", "JANE@Example.org", "j@example.org"):
        assert await service.api.get(f"/service/disabledPlugins/{name}") == {"data": ["chat", "files"]}
    # The webmail must start for everybody: no name is an error.
    for name in ("nobody@example.org", "admin", "plain", "%00", "'", "default", "x" * 400):
        assert await service.api.get(f"/service/disabledPlugins/{name}") == {"data": []}


async def test_from_elsewhere(start_service: StartService) -> None:
    """From an address that is not trusted it takes a login that reads everything."""
    service = await start_service(service_networks=())
    admin = await service.login("admin", ADMIN_PASSWORD)
    await service.api.refused(401, "GET", "/service/disabledPlugins/admin")
    assert await admin.get("/service/disabledPlugins/admin") == {"data": []}


async def test_at_the_same_time(admin: Api, domain: int) -> None:
    """Of two lists that are put at the same time one is stored, whole."""
    lists = [[f"{name}{number}" for number in range(50)] for name in "abcdefgh"]
    await asyncio.gather(*(admin.put(f"/domains/{domain}/disabledPlugins", each) for each in lists))
    assert await names(admin) in lists


async def test_it_goes_with_the_domain(admin: Api, domain: int) -> None:
    """A domain of the same name that comes later begins without a list."""
    await admin.put(f"/domains/{domain}/disabledPlugins", ["chat"])
    await admin.delete(f"/system/domains/{domain}")
    assert await names(admin, domain) == ["chat"]
    await admin.delete(f"/system/domains/{domain}?purge=true")
    assert await names(admin, await admin.make_domain("example.org")) == []
