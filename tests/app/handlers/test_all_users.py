"""The list of the users of all domains."""

import pytest

from tests.support.service import Api, Service

EMPTY = {"count": 0, "data": []}


@pytest.fixture
async def people(admin: Api) -> None:
    """anna and info in one domain, bert and a contact in another."""
    await admin.make_domain("one.org")
    await admin.make_domain("two.org")
    await admin.make_user(1, "bert", properties={"displayname": "Bert", "storagequotalimit": 5})
    await admin.make_user(2, "anna", aliases=["boss@two.org"], properties={"displayname": "Anna"})
    await admin.make_user(1, "info", status=4)
    await admin.make_user(2, "someone@outside.net", status=5)


@pytest.mark.parametrize(
    ("query", "ids", "count"),
    [
        ("", [1, 2, 3, 4], 4),
        ("limit=2&offset=1", [2, 3], 4),
        ("limit=0", [], 4),
        ("sort=username", [2, 1, 4, 3], 4),
        ("sort=displayname,desc&limit=2", [1, 2], 4),
        ("sort=domainID,desc", [2, 4, 1, 3], 4),
        ("match=boss", [2], 1),
        ("match=one.org", [1, 3], 2),
        ("match=bert&matchFields=aliases", [], 0),
        ("match=anna&matchProps=displayname", [2], 1),
        ("ID=4,1,0", [1, 4], 2),
        ("username=anna@two.org", [2], 1),
        ("username=admin", [], 0),
        ("match=admin", [], 0),
        ("status=4,5", [3, 4], 2),
        ("filterProp=displaytypeex:6", [4], 1),
        ("mlist", [1, 2, 3, 4], 4),
    ],
)
async def test_users_of_all_domains(admin: Api, people: None, query: str, ids: list[int], count: int) -> None:
    """The list of all users takes what the list of a domain takes, and never has the administrator in it."""
    answer = await admin.get(f"/system/users?{query}")
    assert ([user["ID"] for user in answer["data"]], answer["count"]) == (ids, count)


async def test_levels_of_all_users(admin: Api, people: None) -> None:
    """Each is shown as in the list of its domain, at every level."""
    for query in ("level=0", "level=1", "level=2", "level=0&properties=displayname"):
        alone = [user for domain in (1, 2) for user in (await admin.get(f"/domains/{domain}/users?{query}"))["data"]]
        together = (await admin.get(f"/system/users?{query}"))["data"]
        assert together == sorted(alone, key=lambda user: user["ID"])


async def test_all_users_before_there_are_any(admin: Api) -> None:
    """Without a domain there is an empty list."""
    assert await admin.get("/system/users") == EMPTY


async def test_all_users_are_for_who_reads_everything(service: Service, admin: Api, domain: int) -> None:
    """One permission about all domains is not one about everything."""
    reader = await service.login_with(domain, ("SystemAdminRO", {}), name="reader")
    helper = await service.login_with(domain, ("DomainAdmin", {"everything": True}), name="helper")
    assert (await reader.get("/system/users"))["count"] == 2
    await helper.refused(403, "GET", "/system/users")
