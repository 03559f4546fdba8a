"""Delegates, send-as and store access: lists that are replaced as a whole, and never dangle."""

import asyncio
from typing import Any

import pytest

from tests.support.service import Api, Service

BOTH = ["delegates", "sendas"]


@pytest.fixture
async def path(admin: Api, domain: int) -> str:
    """The path of a user jane@example.org."""
    return f"/domains/{domain}/users/{(await admin.make_user(domain, 'jane'))['ID']}"


async def names(admin: Api, path: str) -> list[str]:
    """Usernames of a storeAccess list."""
    return [entry["username"] for entry in (await admin.get(f"{path}/storeAccess"))["data"]]


@pytest.mark.parametrize("kind", BOTH)
async def test_list_is_replaced_in_order(admin: Api, path: str, kind: str) -> None:
    """PUT replaces the list, keeps its order, and drops repeats in any case."""
    assert await admin.get(f"{path}/{kind}") == {"data": []}
    await admin.put(f"{path}/{kind}", ["z@example.net", "a@Exämple.org", "Z@example.net", "m@example.org"])
    expected = {"data": ["z@example.net", "a@xn--exmple-cua.org", "m@example.org"]}
    assert await admin.get(f"{path}/{kind}") == expected
    other = BOTH[1 - BOTH.index(kind)]
    assert await admin.get(f"{path}/{other}") == {"data": []}
    await admin.put(f"{path}/{kind}", [])
    assert await admin.get(f"{path}/{kind}") == {"data": []}


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    "body", [["fine@example.org", "not fine"], ["a@b@c"], [5], [None], {"data": []}, {}, "x", None, ["a@b.org\n"]]
)
async def test_wrong_lists_change_nothing(admin: Api, path: str, kind: str, body: Any) -> None:
    """An invalid address is named in a 400, and the list stays as it was."""
    await admin.put(f"{path}/{kind}", ["kept@example.org"])
    reasons = await admin.refused(400, "PUT", f"{path}/{kind}", body)
    if isinstance(body, list) and isinstance(body[-1], str):
        assert repr(body[-1])[1:-1] in reasons
    assert await admin.get(f"{path}/{kind}") == {"data": ["kept@example.org"]}


async def test_store_access(admin: Api, domain: int, path: str) -> None:
    """Access is given by POST, replaced by PUT, taken by DELETE; both generations of names are there."""
    john = await admin.make_user(domain, "john", properties={"displayname": "John"}, aliases=["j@example.org"])
    await admin.make_user(domain, "kate")
    for username in ("JOHN@example.org", "j@example.org"):
        await admin.post(f"{path}/storeAccess", {"username": username})
    assert (await admin.get(f"{path}/storeAccess"))["data"] == [
        {"ID": john["ID"], "memberID": str(john["ID"]), "displayName": "John", "username": "john@example.org"}
    ]
    await admin.put(f"{path}/storeAccess", {"usernames": ["kate@example.org", "Kate@example.org"]})
    assert await names(admin, path) == ["kate@example.org"]
    await admin.delete(f"{path}/storeAccess/KATE@example.org")
    assert await names(admin, path) == []
    await admin.refused(404, "DELETE", f"{path}/storeAccess/kate@example.org")
    await admin.refused(404, "DELETE", f"{path}/storeAccess/nobody@example.org")
    await admin.refused(404, "DELETE", f"{path}/storeAccess/%00%F0%9F%98%80")


async def test_store_access_within_the_organisation(admin: Api, domain: int, path: str) -> None:
    """A user of a domain of the same organisation can be named; of another, a contact, or nobody cannot."""
    org = (await admin.post("/system/orgs", {"name": "Acme", "domains": [domain]}))["ID"]
    sister, foreign = await admin.make_domain("sister.org", orgID=org), await admin.make_domain("foreign.org")
    await admin.make_user(sister, "sue")
    await admin.make_user(foreign, "fred")
    contact = await admin.make_user(domain, "x@y.org", status=5)
    await admin.post(f"{path}/storeAccess", {"username": "sue@sister.org"})
    for unknown in ("fred@foreign.org", "nobody@example.org", contact["username"], "admin", "", "x" * 300):
        await admin.refused(404, "POST", f"{path}/storeAccess", {"username": unknown})
        reasons = await admin.refused(
            400, "PUT", f"{path}/storeAccess", {"usernames": ["sue@sister.org", unknown, "no@x.org"]}
        )
        assert unknown[:50] in reasons
        assert "no@x.org" in reasons
    assert await names(admin, path) == ["sue@sister.org"]
    bodies: list[Any] = [{}, {"username": 5}, {"username": None}, {"usernames": []}, [], {"username": "a", "x": 1}]
    for wrong in bodies:
        await admin.refused(400, "POST", f"{path}/storeAccess", wrong)
    bodies = [{}, {"usernames": "x"}, {"usernames": [5]}, {"usernames": None}, []]
    for wrong in bodies:
        await admin.refused(400, "PUT", f"{path}/storeAccess", wrong)


async def test_domains_without_organisation_are_strangers(admin: Api, domain: int, path: str) -> None:
    """Two domains that belong to no organisation have none in common."""
    other = await admin.make_domain("other.org")
    await admin.make_user(other, "olga")
    await admin.refused(404, "POST", f"{path}/storeAccess", {"username": "olga@other.org"})


async def test_a_rename_goes_through_all_lists(admin: Api, domain: int, path: str) -> None:
    """A new username stands wherever the old one stood, once, in its place; the old one belongs to nobody."""
    john = await admin.make_user(domain, "john", aliases=["j@example.org"])
    for kind in BOTH:
        await admin.put(f"{path}/{kind}", ["a@x.org", "john@example.org", "b@x.org", "j@example.org"])
    await admin.post(f"{path}/storeAccess", {"username": "john@example.org"})
    await admin.patch(f"/domains/{domain}/users/{john['ID']}", {"username": "jack", "aliases": []})
    for kind in BOTH:
        assert (await admin.get(f"{path}/{kind}"))["data"] == ["a@x.org", "jack@example.org", "b@x.org"]
    assert await names(admin, path) == ["jack@example.org"]


async def test_a_name_that_is_given_to_another_brings_no_rights(admin: Api, domain: int, path: str) -> None:
    """Who gets an address that somebody else had before gets none of the rights that went with it."""
    john = await admin.make_user(domain, "john", aliases=["boss@example.org"])
    await admin.put(f"{path}/delegates", ["boss@example.org"])
    await admin.patch(f"/domains/{domain}/users/{john['ID']}", {"aliases": []})
    await admin.make_user(domain, "mallory", aliases=["boss@example.org"])
    assert (await admin.get(f"{path}/delegates"))["data"] == ["john@example.org"]


async def test_a_deletion_goes_through_all_lists(admin: Api, service: Service, domain: int, path: str) -> None:
    """Who is deleted, alone or with a whole domain, stands in no list any more, under no name."""
    org = (await admin.post("/system/orgs", {"name": "Acme", "domains": [domain]}))["ID"]
    sister = await admin.make_domain("sister.org", orgID=org)
    john = await admin.make_user(domain, "john", aliases=["j@example.org"])
    await admin.make_user(sister, "sue", aliases=["s@sister.org"])
    for kind in BOTH:
        await admin.put(f"{path}/{kind}", ["j@example.org", "sue@sister.org", "s@sister.org", "x@outside.org"])
    await admin.put(f"{path}/storeAccess", {"usernames": ["john@example.org", "sue@sister.org"]})
    await admin.delete(f"/domains/{domain}/users/{john['ID']}")
    assert await names(admin, path) == ["sue@sister.org"]
    await admin.delete(f"/system/domains/{sister}?purge=true")
    assert await names(admin, path) == []
    for kind in BOTH:
        assert (await admin.get(f"{path}/{kind}"))["data"] == ["x@outside.org"]


@pytest.mark.parametrize(
    ("suffix", "one", "two"),
    [
        ("/delegates", ["a@x.org"], ["b@x.org"]),
        ("/sendas", ["a@x.org"], ["b@x.org"]),
        ("/storeAccess", {"usernames": []}, {"usernames": ["john@example.org"]}),
    ],
)
async def test_versions_of_lists(admin: Api, domain: int, path: str, suffix: str, one: Any, two: Any) -> None:
    """With If-Match a list that changed since it was read is not replaced; without it nobody notices anything."""
    await admin.make_user(domain, "john")
    read = await admin.call("GET", path + suffix)
    first = {"If-Match": read.headers["ETag"]}
    changed = await admin.call("PUT", path + suffix, two, headers=first)
    assert changed.status == 200
    now = await admin.call("GET", path + suffix)
    assert now.headers["ETag"] == changed.headers["ETag"] != first["If-Match"]
    await admin.refused(412, "PUT", path + suffix, one, headers=first)
    await admin.refused(412, "PUT", path + suffix, one, headers={"If-Match": f"W/{now.headers['ETag']}"})
    await admin.refused(412, "PUT", path + suffix, one, headers={"If-Match": "nonsense"})
    assert (await admin.call("GET", path + suffix)).body == now.body
    for headers in ({"If-Match": f'"x", {now.headers["ETag"]}'}, {"If-Match": "*"}, {}):
        await admin.put(path + suffix, two, headers=headers)


async def test_versions_of_a_user(admin: Api, path: str) -> None:
    """PATCH, also of the roles, and DELETE with If-Match refuse a user whom somebody else has changed meanwhile."""
    read = await admin.call("GET", path)
    first = {"If-Match": read.headers["ETag"]}
    patched = await admin.call("PATCH", path, {"smtp": True}, headers=first)
    assert patched.status == 200
    await admin.refused(412, "PATCH", path, {"smtp": False}, headers=first)
    await admin.refused(412, "PATCH", f"{path}/roles", {"roles": []}, headers=first)
    await admin.patch(f"{path}/roles", {"roles": []}, headers={"If-Match": patched.headers["ETag"]})
    await admin.refused(412, "DELETE", path, headers=first)
    assert (await admin.get(path))["smtp"] is True
    assert "ETag" not in (await admin.call("GET", f"{path}?level=1")).headers
    await admin.delete(path, headers={"If-Match": patched.headers["ETag"]})
    await admin.refused(404, "DELETE", path, headers=first)


async def test_of_two_who_read_the_same_one_wins(admin: Api, path: str) -> None:
    """Of many who change the same version at the same time exactly one succeeds."""
    version = {"If-Match": (await admin.call("GET", f"{path}/delegates")).headers["ETag"]}
    answers = await asyncio.gather(
        *(admin.call("PUT", f"{path}/delegates", [f"u{number}@x.org"], headers=version) for number in range(20))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 19


async def test_wrong_domain_and_unknown_user(admin: Api, domain: int, path: str) -> None:
    """Lists of a user who is not in the domain of the path are not there."""
    other = await admin.make_domain("other.org")
    wrong = path.replace(f"/domains/{domain}/", f"/domains/{other}/")
    for base in (wrong, f"/domains/{domain}/users/999"):
        for kind in BOTH:
            await admin.refused(404, "GET", f"{base}/{kind}")
            await admin.refused(404, "PUT", f"{base}/{kind}", [])
        await admin.refused(404, "GET", f"{base}/storeAccess")
        await admin.refused(404, "PUT", f"{base}/storeAccess", {"usernames": []})
        await admin.refused(404, "POST", f"{base}/storeAccess", {"username": "jane@example.org"})
        await admin.refused(404, "DELETE", f"{base}/storeAccess/jane@example.org")


async def test_long_lists(admin: Api, domain: int, path: str) -> None:
    """A thousand people fit into each list; more than ten thousand addresses do not."""
    many = [f"user{number}@example.net" for number in range(1000)]
    await admin.put(f"{path}/delegates", many)
    assert (await admin.get(f"{path}/delegates"))["data"] == many
    await admin.refused(400, "PUT", f"{path}/delegates", [f"u{number}@x.org" for number in range(10_001)])
