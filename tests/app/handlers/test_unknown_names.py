"""Lists that are asked for names of another version pass over what is unknown."""

from typing import Any

import pytest

from postroom.app.routes import ROUTES
from postroom.app.web.routing import Route
from tests.support.service import Api


def query_of(route: Route) -> set[str]:
    """The query parameters that an operation knows."""
    declared = getattr(route.handler, "__schemas__", ())
    schemas = [each["schema"] for each in declared if each["location"] == "querystring"]
    return {field.data_key or name for schema in schemas for name, field in schema.fields.items()}


#: Every list of the table: whatever can be sorted is one.
LISTS = [route for route in ROUTES if route.method == "GET" and "sort" in query_of(route)]


@pytest.fixture
async def filled(admin: Api, domain: int) -> int:
    """The ID of a domain beside another, with two users, a role and an organisation."""
    await admin.make_domain("other.org", title="Second")
    for name in ("anna", "bert"):
        await admin.make_user(domain, name, properties={"displayname": name.title()})
    await admin.post("/system/roles", {"name": "Helpers"})
    await admin.post("/system/orgs", {"name": "Firm"})
    return domain


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.path)
async def test_every_list_passes_over_unknown_names(admin: Api, filled: int, route: Route) -> None:
    """An unknown field to sort by or to look in changes nothing about any list, alone and beside known ones."""
    path = route.path.replace("{domainID}", str(filled))
    plain = await admin.get(path)
    assert await admin.get(path, params=[("sort", "nosuch,desc"), ("sort", "receivequotalimit2")]) == plain
    assert await admin.get(path, params={"matchProps": "nosuch,0x12345678", "matchFields": "nosuch"}) == plain
    assert await admin.get(path, params=[("sort", "nosuch"), ("sort", "ID,desc")]) == await admin.get(
        path, params={"sort": "ID,desc"}
    )
    assert (await admin.get(path, params={"matchFields": "nosuch", "match": "a"}))["count"] == 0


def test_every_list_is_looked_at() -> None:
    """The lists of users, domains, organisations, roles, tasks and of what there is none of are among them."""
    assert {route.path for route in LISTS} >= {
        "/domains/{domainID}/users", "/system/users", "/system/domains", "/system/orgs", "/system/roles", "/tasq/tasks",
        "/system/servers", "/domains/{domainID}/mlists",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/domains/{}/users", "/system/users"])
async def test_properties_that_are_unknown(admin: Api, filled: int, path: str) -> None:
    """A list of users has the properties that there are of those asked for; with unknown ones alone it has none."""
    at = path.format(filled)
    listed = await admin.get(at, params={"properties": "displayname,receivequotalimit2,nosuch", "sort": "displayname"})
    assert [user["properties"] for user in listed["data"]] == [{"displayname": "Anna"}, {"displayname": "Bert"}]
    assert [user["properties"] for user in (await admin.get(at, params={"properties": "nosuch"}))["data"]] == [{}, {}]
    found = await admin.get(at, params={"match": "anna", "matchFields": "nosuch", "matchProps": "nosuch,displayname"})
    assert found["count"] == 1


async def test_a_filter_that_is_unknown(admin: Api, filled: int) -> None:
    """An unknown property in a filter is a 400 that names it: passed over, it would show what it was to leave out."""
    for filter_ in ("nosuch:1", "displaytypeex:0;nosuch:1"):
        for path in (f"/domains/{filled}/users", "/system/users"):
            assert "nosuch" in await admin.refused(400, "GET", path, params={"filterProp": filter_})


async def test_counters_of_domains_can_be_sorted(admin: Api, filled: int) -> None:
    """Domains are sorted by each field that a list of them shows."""
    shown: dict[str, Any] = (await admin.get("/system/domains"))["data"][0]
    for name in shown:
        forth = [each["ID"] for each in (await admin.get("/system/domains", params={"sort": name}))["data"]]
        back = [each["ID"] for each in (await admin.get("/system/domains", params={"sort": f"{name},desc"}))["data"]]
        equal = {each[name] for each in (await admin.get("/system/domains"))["data"]}
        assert forth == (back if len(equal) == 1 else back[::-1]), name
    most = (await admin.get("/system/domains", params={"sort": "activeUsers,desc"}))["data"][0]
    assert (most["ID"], most["activeUsers"]) == (filled, 2)
