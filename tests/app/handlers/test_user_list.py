"""Lists of users: paging, sorting, filtering, searching."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.service import Api

PEOPLE: list[tuple[str, str, dict[str, Any]]] = [
    ("anna", "Änna Öztürk", {"storagequotalimit": 900}),
    ("bert", "Bert 100% _Quote\"d'", {"storagequotalimit": 10_000}),
    ("carl", "Карл Иванов", {}),
    ("dora", "Dora Straße", {"storagequotalimit": 50}),
    ("emil", "山田 太郎", {"storagequotalimit": 1000}),
]


@pytest.fixture
async def people(admin: Api, domain: int) -> dict[str, int]:
    """Five users with names in several scripts, by local part."""
    await admin.make_domain("elsewhere.org")
    made = {}
    for name, display, properties in PEOPLE:
        aliases = [f"{name}.alias@example.org"]
        user = await admin.make_user(
            domain,
            name,
            properties={"displayname": display, **properties},
            aliases=aliases,
            altnames=[{"altname": f"nick{name[0]}"}],
        )
        made[name] = user["ID"]
    return made


async def found(admin: Api, domain: int, **query: Any) -> list[str]:
    """Local parts of the users on a page; the count has to be that of all when there is no paging."""
    page = await admin.get(f"/domains/{domain}/users?{urlencode(query, doseq=True)}")
    if not {"limit", "offset"} & set(query):
        assert page["count"] == len(page["data"])
    return [user["username"].partition("@")[0] for user in page["data"]]


async def test_order_is_by_id(admin: Api, domain: int, people: dict[str, int]) -> None:
    """Without `sort` users come by ID."""
    assert await found(admin, domain) == list(people)


async def test_paging(admin: Api, domain: int, people: dict[str, int]) -> None:
    """`limit` and `offset` cut a page; the count is always that of all."""
    assert await found(admin, domain, limit=2) == ["anna", "bert"]
    assert await found(admin, domain, limit=2, offset=4) == ["emil"]
    assert await found(admin, domain, offset=3) == ["dora", "emil"]
    assert await found(admin, domain, limit=10**30, offset=1) == ["bert", "carl", "dora", "emil"]
    for query in ("limit=0", "offset=99", "limit=0&offset=2", f"offset={10**25}"):
        assert await admin.get(f"/domains/{domain}/users?{query}") == {"count": 5, "data": []}


async def test_default_page_has_fifty(admin: Api) -> None:
    """A page without `limit` has 50 users, also after an offset."""
    domain = await admin.make_domain("big.org")
    for number in range(53):
        await admin.make_user(domain, f"u{number}", status=4)
    page = await admin.get(f"/domains/{domain}/users")
    assert (page["count"], len(page["data"])) == (53, 50)
    assert len((await admin.get(f"/domains/{domain}/users?offset=2"))["data"]) == 50


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "offset=-1", "level=-1", "level=x", "limit=1.5", "limit=", "sort=ID,up",
        "filterProp=displayname", "filterProp=nosuch:1", "filterProp=displaytypeex:x", "ID=x", "status=x",
        "mlist=5", "limit=%D9%A3",
    ],
)  # fmt: skip
async def test_wrong_queries(admin: Api, domain: int, query: str) -> None:
    """A parameter with an impossible value is a 400 that names it."""
    assert query.partition("=")[0] in await admin.refused(400, "GET", f"/domains/{domain}/users?{query}")


async def test_unknown_parameters_are_ignored(admin: Api, domain: int, people: dict[str, int]) -> None:
    """A parameter that nobody knows changes nothing."""
    assert len(await found(admin, domain, surprise="1", _="2")) == 5


async def test_sort(admin: Api, domain: int, people: dict[str, int]) -> None:
    """Fields and properties sort in both directions; numbers as numbers; who lacks the property comes last."""
    assert await found(admin, domain, sort="username,desc") == ["emil", "dora", "carl", "bert", "anna"]
    quota = ["dora", "anna", "emil", "bert", "carl"]
    assert await found(admin, domain, sort="storagequotalimit") == quota
    assert await found(admin, domain, sort="storagequotalimit,desc") == ["bert", "emil", "anna", "dora", "carl"]
    await admin.patch(f"/domains/{domain}/users/{people['carl']}", {"smtp": True})
    assert await found(admin, domain, sort=["smtp,desc", "ID,desc"]) == ["carl", "emil", "dora", "bert", "anna"]
    assert (await found(admin, domain, sort="displayname,asc"))[:2] == ["bert", "dora"]
    assert await found(admin, domain, sort="storagequotalimit", limit=2, offset=1) == quota[1:3]


@pytest.mark.parametrize(
    ("match", "props", "expected"),
    [
        ("ann", "", ["anna"]),
        ("ANN", "", ["anna"]),
        ("alias", "", ["anna", "bert", "carl", "dora", "emil"]),
        ("alias ber", "", ["bert"]),
        ("nicke", "", ["emil"]),
        ("öztürk", "", []),
        ("öztürk", "displayname", ["anna"]),
        ("ÖZTÜRK", "displayname", ["anna"]),
        ("än", "displayname", ["anna"]),
        ("иванов", "displayname", ["carl"]),
        ("ИВАН карл", "displayname", ["carl"]),
        ("strasse", "displayname", ["dora"]),
        ("STRASSE", "displayname", ["dora"]),
        ("straße", "displayname", ["dora"]),
        ("山", "displayname", ["emil"]),
        ("太郎", "displayname", ["emil"]),
        ("100%", "displayname", ["bert"]),
        ("%", "displayname", ["bert"]),
        ("_", "displayname", ["bert"]),
        ("quote\"d'", "displayname", ["bert"]),
        ('"', "displayname", ["bert"]),
        ("'", "displayname", ["bert"]),
        ("* OR *", "displayname", []),
        ("NEAR(a b)", "displayname", []),
        ("   ", "", ["anna", "bert", "carl", "dora", "emil"]),
        ("e.org", "", ["anna", "bert", "carl", "dora", "emil"]),
        ("nul\0nul", "displayname", []),
        ("\0", "displayname", []),
    ],
)
async def test_match(
    admin: Api, domain: int, people: dict[str, int], match: str, props: str, expected: list[str]
) -> None:
    """Every word is searched as literal text, in any case and script, in names and in the properties asked for."""
    if "\0" in match:
        await admin.refused(400, "GET", f"/domains/{domain}/users?{urlencode({'match': match})}")
        return
    assert await found(admin, domain, match=match, matchProps=props) == expected


async def test_match_by_id_is_exact(admin: Api, domain: int, people: dict[str, int]) -> None:
    """A word that is a number finds the user of that ID."""
    assert await found(admin, domain, match=str(people["dora"])) == ["dora"]
    assert await found(admin, domain, match="9" * 30) == []


async def test_match_fields_narrow(admin: Api, domain: int, people: dict[str, int]) -> None:
    """`matchFields` leaves out the others."""
    assert await found(admin, domain, match="alias", matchFields="username") == []
    assert await found(admin, domain, match="alias", matchFields="aliases,username", limit=1) == ["anna"]
    assert await found(admin, domain, match="nickb", matchFields="altnames") == ["bert"]
    assert await found(admin, domain, match=str(people["dora"]), matchFields="username") == []


async def test_match_stays_in_the_domain(admin: Api, people: dict[str, int]) -> None:
    """A search in one domain finds nobody of another."""
    other = await admin.make_domain("third.org")
    await admin.make_user(other, "anna")
    assert await found(admin, other, match="anna") == ["anna"]
    assert len(await admin.get(f"/domains/{other}/users?match=ann")) == 2


async def test_match_follows_changes(admin: Api, domain: int, people: dict[str, int]) -> None:
    """The index of the search knows new names, forgets old ones and those of deleted users."""
    path = f"/domains/{domain}/users/{people['anna']}"
    await admin.patch(path, {"username": "zoe", "aliases": [], "properties": {"displayname": "Zoë"}})
    assert await found(admin, domain, match="anna") == []
    assert await found(admin, domain, match="ZOË", matchProps="displayname") == ["zoe"]
    assert await found(admin, domain, match="öztürk", matchProps="displayname") == []
    await admin.delete(path)
    assert await found(admin, domain, match="zoe") == []


async def test_filters(admin: Api, domain: int, people: dict[str, int]) -> None:
    """Filters by username, IDs, status and properties keep those that meet all of them."""
    anna, dora = people["anna"], people["dora"]
    assert await found(admin, domain, username="DORA@example.org") == ["dora"]
    assert await found(admin, domain, ID=f"{dora},{anna},77777") == ["anna", "dora"]
    assert await found(admin, domain, filterProp="storagequotalimit:50,900") == ["anna", "dora"]
    assert await found(admin, domain, filterProp="displaytypeex:0,7;storagequotalimit:50") == ["dora"]
    assert await found(admin, domain, filterProp="displayname:карл иванов") == ["carl"]
    assert await found(admin, domain, filterProp="displaytypeex:7") == []
    await admin.patch(f"/domains/{domain}/users/{anna}", {"status": 4})
    assert await found(admin, domain, status="4,1") == ["anna"]
    assert await found(admin, domain, status="0", match="alias", ID=f"{dora},{anna}") == ["dora"]
    assert len(await found(admin, domain, mlist="")) == 5


async def test_properties_parameter(admin: Api, domain: int, people: dict[str, int]) -> None:
    """`properties` adds exactly those asked for, on every level, as an object even when nothing is in it."""
    page = await admin.get(f"/domains/{domain}/users?level=0&properties=DisplayName,0x3ff50003")
    shown = [user["properties"] for user in page["data"]]
    assert shown[0] == {"displayname": "Änna Öztürk", "storagequotalimit": 900}
    assert shown[2] == {"displayname": "Карл Иванов"}
    page = await admin.get(f"/domains/{domain}/users?level=2&properties=nickname&match=ann")
    assert page["data"][0]["properties"] == {}
    assert (await admin.get(f"/domains/{domain}/users?properties="))["data"][0]["properties"] == {}


async def test_unknown_domain(admin: Api) -> None:
    """A list of no domain is a 404, filtered or not."""
    await admin.refused(404, "GET", "/domains/4711/users")
    await admin.refused(404, "GET", "/domains/4711/users?match=x")
    await admin.refused(404, "POST", "/domains/4711/users", {"username": "a", "password": "long enough"})


async def test_parameters_cannot_carry_sql(admin: Api, domain: int, people: dict[str, int]) -> None:
    """Quotes and statements in every parameter are values, errors, or nothing; the table stays."""
    evil = "x'); DROP TABLE users; --"
    for name in ("match", "matchFields", "matchProps", "filterProp", "sort", "ID", "username", "status", "properties"):
        answer = await admin.call("GET", f"/domains/{domain}/users?{urlencode({name: evil})}")
        assert answer.status in (200, 400)
    assert len(await found(admin, domain)) == 5


async def test_username_in_any_spelling(admin: Api) -> None:
    """A list filtered by username finds it in any case and any spelling of its domain."""
    domain = await admin.make_domain("bücher.example")
    user = await admin.make_user(domain, "straße")
    contact = await admin.make_user(domain, "x@elsewhere.net", status=5)
    for path in (f"/domains/{domain}/users", "/system/users"):
        for name in ("straße@xn--bcher-kva.example", "STRASSE@BÜCHER.example", "Strasse@bücher.example"):
            found = await admin.get(path, params={"username": name})
            assert [each["ID"] for each in found["data"]] == [user["ID"]], name
        assert (await admin.get(path, params={"username": contact["username"].title()}))["count"] == 1
        for name in ("strasse", "nobody@bücher.example", "%"):
            assert (await admin.get(path, params={"username": name}))["count"] == 0
