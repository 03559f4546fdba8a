"""Paging through lists of users by `after` and `before`."""

from typing import Any

import pytest

from tests.support.service import Api

#: Local parts of the users of one domain; between each two of them is one of another domain.
NAMES = ["anna", "bert", "carl", "dora", "emil", "fred", "gina"]


@pytest.fixture
async def ids(admin: Api, domain: int) -> list[int]:
    """The IDs of the users."""
    other = await admin.make_domain("elsewhere.org")
    made = []
    for name in NAMES:
        made.append((await admin.make_user(domain, name, status=4 if name in ("bert", "emil") else 0))["ID"])
        await admin.make_user(other, name)
    return made


async def walk(admin: Api, path: str, cursor: str, start: int) -> list[list[int]]:
    """The IDs on each page, from a cursor on, as `nextAfter` or `nextBefore` leads."""
    pages, at = [], start
    further = {"after": "nextAfter", "before": "nextBefore"}[cursor]
    while True:
        page = await admin.get(f"{path}{'&' if '?' in path else '?'}{cursor}={at}")
        pages.append([user["ID"] for user in page["data"]])
        assert set(page) <= {"count", "data", further}
        if further not in page:
            return pages
        at = page[further]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 1000])
async def test_all_pages_together_are_the_list(admin: Api, domain: int, ids: list[int], limit: int) -> None:
    """Forwards, backwards and in descending order each user is on one page, and no page is empty."""
    path = f"/domains/{domain}/users?limit={limit}"
    parts = [ids[at : at + limit] for at in range(0, len(ids), limit)]
    assert await walk(admin, path, "after", 0) == parts
    assert await walk(admin, f"{path}&sort=ID,desc", "before", 0) == [part[::-1] for part in parts]
    ends = [ids[max(0, len(ids) - at - limit) : len(ids) - at] for at in range(0, len(ids), limit)]
    assert await walk(admin, path, "before", 2**63 - 1) == ends
    assert await walk(admin, f"{path}&sort=ID,desc", "after", 2**63 - 1) == [part[::-1] for part in ends]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=0", ["anna", "carl", "dora", "fred", "gina"]),
        ("match=a", NAMES),
        ("match=d", ["dora", "fred"]),
        ("match=an&level=2", ["anna"]),
        ("filterProp=displaytypeex:0&level=0&properties=displaytypeex", NAMES),
        ("match=er&status=4", ["bert"]),
        ("username=dora@example.org", ["dora"]),
        ("match=nobody", []),
        ("sort=nosuchfield", NAMES),
        ("sort=ID&sort=username", NAMES),
    ],
)
async def test_with_filters(admin: Api, domain: int, ids: list[int], query: str, names: list[str]) -> None:
    """Whatever else narrows the list narrows it at a cursor, and `count` stays that of all who match."""
    expected = [user_id for user_id, name in zip(ids, NAMES, strict=True) if name in names]
    path = f"/domains/{domain}/users?{query}&limit=2"
    pages = await walk(admin, path, "after", 0)
    assert [user_id for page in pages for user_id in page] == expected
    assert (await admin.get(f"{path}&after={ids[3]}"))["count"] == len(expected)
    backwards = await walk(admin, path, "before", ids[-1] + 1)
    assert [user_id for page in reversed(backwards) for user_id in page] == expected


async def test_in_all_domains(admin: Api, ids: list[int]) -> None:
    """The list of all users has the same cursors, and never the administrator."""
    everybody = [user_id + more for user_id in ids for more in (0, 1)]
    pages = await walk(admin, "/system/users?limit=4", "after", 0)
    assert [user_id for page in pages for user_id in page] == everybody
    pages = await walk(admin, "/system/users?limit=4&match=example", "before", everybody[-1] + 1)
    assert pages == [ids[3:], ids[:3]]


async def test_a_cursor_is_a_position(admin: Api, domain: int, ids: list[int]) -> None:
    """A user of another domain, one who is deleted meanwhile, and nobody at all are positions like any other."""
    path = f"/domains/{domain}/users"
    of_another_domain = ids[2] + 1
    expected = {"count": 7, "data": (await admin.get(f"{path}?offset=3"))["data"]}
    assert await admin.get(f"{path}?after={of_another_domain}") == expected
    page = await admin.get(f"{path}?after=0&limit=3")
    await admin.delete(f"{path}/{page['nextAfter']}")
    assert await admin.get(f"{path}?after={page['nextAfter']}") == {**expected, "count": 6}
    for query in ("after=4294967295", "after=4294967296", f"after={2**63 - 1}", "before=0", "before=1"):
        assert await admin.get(f"{path}?{query}") == {"count": 6, "data": []}


async def test_the_count_alone(admin: Api, domain: int, ids: list[int]) -> None:
    """`limit=0` has nothing from which to go on."""
    for query in ("after=0", f"before={ids[3]}", "after=0&match=d"):
        count = 2 if "match" in query else 7
        assert await admin.get(f"/domains/{domain}/users?limit=0&{query}") == {"count": count, "data": []}


async def test_other_clients_notice_nothing(admin: Api, domain: int, ids: list[int]) -> None:
    """Without a cursor the answer has what it always had, whether there are more users or not."""
    for query in ("", "limit=2", "limit=2&sort=username", "limit=2&match=r", "offset=2&limit=2"):
        assert set(await admin.get(f"/domains/{domain}/users?{query}")) == {"count", "data"}


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("after=1&before=2", "before: Cannot be given together with after."),
        ("after=x", "after: Not an ID"),
        ("before=", "before: Not an ID"),
        ("after=-1", "after: Not an ID"),
        ("after=1.5", "after: Not an ID"),
        ("before=%D9%A3", "before: Not an ID"),
        ("after=9223372036854775808", "after: Not an ID: those are whole numbers from 0 to 9223372036854775807."),
        (f"before={10**30}", "before: Not an ID"),
        ("after=1&offset=1", "after: Cannot be given together with an offset."),
        ("before=1&sort=username", "before: Is a position in the order of IDs"),
        ("after=1&sort=displayname,desc&sort=ID", "after: Is a position in the order of IDs"),
    ],
)
async def test_wrong_cursors(admin: Api, domain: int, query: str, reason: str) -> None:
    """A cursor that is none, or does not go with the rest of the query, is a 400 that says why."""
    for path in (f"/domains/{domain}/users", "/system/users"):
        assert reason in await admin.refused(400, "GET", f"{path}?{query}")
    await admin.refused(404, "GET", "/domains/99/users?after=0")


async def test_what_goes_with_a_cursor(admin: Api, domain: int, ids: list[int]) -> None:
    """What other clients send for nothing is no error: an offset of 0, a sort by ID."""
    page: Any = await admin.get(f"/domains/{domain}/users?after=0&offset=0&sort=ID,asc&limit=1")
    assert (page["data"][0]["ID"], page["nextAfter"]) == (ids[0], ids[0])
