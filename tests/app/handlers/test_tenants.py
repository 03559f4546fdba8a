"""What an administrator of one domain can do to another one, also inside an organisation: nothing."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.schemas.addresses import spells_administrator
from postroom.schemas.values.text import fold
from postroom.storage.database import Database
from postroom.storage.migrations import migrations, statements
from tests.support.people import CONFIG, add_person, document, item_of
from tests.support.service import ADMIN_PASSWORD, USER_PASSWORD, Api, Service
from tests.support.slapd import Slapd

pytestmark = pytest.mark.attack


@pytest.fixture
async def organisation(admin: Api) -> tuple[int, int]:
    """The domains a.example and b.example of one organisation, and outside.example of none."""
    one, other = [await admin.make_domain(name) for name in ("a.example", "b.example")]
    await admin.post("/system/orgs", {"name": "Org", "domains": [one, other]})
    await admin.make_domain("outside.example")
    return one, other


@pytest.fixture
async def helper(service: Service, organisation: tuple[int, int]) -> Api:
    """Who administers a.example and nothing else."""
    return await service.login_with(organisation[0], ("DomainAdmin", {"domain_id": organisation[0]}))


#: What gives somebody a name, and the reason's field.
NEW_NAMES = [
    lambda name: {"aliases": [name]},
    lambda name: {"altnames": [{"altname": name}]},
]
#: Names in domains that the helper may not write: of the organisation, in several spellings, outside, and nowhere.
FOREIGN = [
    "joe@b.example", "JOE@B.Example", "joe@outside.example", "joe@nowhere.example", "joe@b.example.",
    "joe＠b.example", "joe@ｂ.example", "joe@b。example", "joe@", "joe@b\u200b.example",
]  # fmt: skip


@pytest.mark.parametrize("body", NEW_NAMES)
@pytest.mark.parametrize("name", FOREIGN)
async def test_no_new_name_in_a_domain_of_others(
    admin: Api, helper: Api, organisation: tuple[int, int], body: Any, name: str
) -> None:
    """Neither an alias nor an altname lies in a domain that the caller may not write, however it is spelt."""
    path = f"/domains/{organisation[0]}/users"
    user = await admin.make_user(organisation[0], "u")
    before = await admin.get(f"{path}/{user['ID']}")
    await helper.refused(400, "PATCH", f"{path}/{user['ID']}", body(name))
    await helper.refused(400, "POST", path, {"username": "v", "password": USER_PASSWORD, **body(name)})
    assert await admin.get(f"{path}/{user['ID']}") == before
    assert (await admin.get(f"{path}?match=v"))["count"] == 0


@pytest.mark.parametrize("body", NEW_NAMES)
async def test_whether_a_foreign_name_is_in_use_is_not_told(
    admin: Api, helper: Api, organisation: tuple[int, int], body: Any
) -> None:
    """Names that are taken, free, and in domains that are not there are refused with one sentence."""
    user = await admin.make_user(organisation[0], "u")
    await admin.make_user(organisation[1], "taken", aliases=["also@b.example"], altnames=[{"altname": "x@b.example"}])
    path = f"/domains/{organisation[0]}/users/{user['ID']}"
    names = ["taken@b.example", "also@b.example", "x@b.example", "free@b.example", "x@outside.example", "x@no.example"]
    reasons = {(await helper.refused(400, "PATCH", path, body(name))).replace(name, "") for name in names}
    assert len(reasons) == 1


async def test_who_may_write_both_may_cross(service: Service, admin: Api, organisation: tuple[int, int]) -> None:
    """An alias in another domain of the organisation is for whoever may write there, too; in no other domain."""
    one, other = organisation
    callers = [
        admin,
        await service.login_with(one, ("OrgAdmin", {"org_id": 1}), name="x"),
        await service.login_with(one, ("DomainAdmin", {"domain_id": one}), ("DomainAdmin", {"domain_id": other})),
    ]
    user = await admin.make_user(one, "u")
    path = f"/domains/{one}/users/{user['ID']}"
    for number, caller in enumerate(callers):
        names = {"aliases": [f"u{number}@b.example"], "altnames": [{"altname": f"alt{number}@b.example"}]}
        assert (await caller.patch(path, names))["aliases"] == names["aliases"]
        for foreign in ("u@outside.example", "u@nowhere.example"):
            assert foreign in await caller.refused(400, "PATCH", path, {"aliases": [foreign]})
            assert foreign in await caller.refused(400, "PATCH", path, {"altnames": [{"altname": foreign}]})


async def test_what_was_read_can_be_sent_back(admin: Api, helper: Api, organisation: tuple[int, int]) -> None:
    """Names in domains of others that somebody gave stay when they come back; once they are gone, they stay gone."""
    names = {"aliases": ["u@b.example", "u2@a.example"], "altnames": [{"altname": "alt@b.example"}]}
    user = await admin.make_user(organisation[0], "u", **names)
    path = f"/domains/{organisation[0]}/users/{user['ID']}"
    assert await helper.patch(path, user) == user
    assert (await helper.patch(path, {"aliases": ["U@b.example", "u3@a.example"]}))["aliases"][1] == "u3@a.example"
    await helper.patch(path, {"aliases": [], "altnames": []})
    await helper.refused(400, "PATCH", path, {"aliases": ["u@b.example"]})
    await helper.refused(400, "PATCH", path, {"altnames": user["altnames"]})


async def test_the_right_is_looked_at_inside_the_transaction(
    service: Service, admin: Api, organisation: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who loses a domain while their change waits for its turn gives no name in it."""
    one, other = organisation
    both = [("DomainAdmin", {"domain_id": each}) for each in organisation]
    caller = await service.login_with(one, *both)
    user = await admin.make_user(one, "u")

    def take(connection: Any) -> None:
        connection.execute("DELETE FROM role_permissions WHERE domain_id = ?", (other,))

    database = service.context.database
    write = database.write

    async def late(function: Any, *args: Any) -> Any:
        await write(take)
        return await write(function, *args)

    monkeypatch.setattr(database, "write", late)
    path = f"/domains/{one}/users/{user['ID']}"
    assert "have changed" in await caller.refused(403, "PATCH", path, {"aliases": ["u@b.example"]})


LOOK_ALIKES = [
    "admin", "ADMIN", "AdMiN", "ａｄｍｉｎ", "ＡＤＭＩＮ", "𝐚𝐝𝐦𝐢𝐧", "ⓐⓓⓜⓘⓝ",
    "ad\u200bmin", "ad\u00admin", "admin\ufe0f",
    "ADMİN", "admın", "admin.", ".admin", "ad-min", "ádmin", "\u2066admin\u2069",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES)
async def test_nobody_else_is_admin(service: Service, admin: Api, domain: int, name: str) -> None:
    """Nobody goes by what reads as the administrator's name; it logs in the administrator, or nobody."""
    path = f"/domains/{domain}/users"
    user = await admin.make_user(domain, "mallory")
    for body in ({"altnames": [{"altname": name}]}, {"altnames": [{"altname": "fine"}, {"altname": name}]}):
        await admin.refused(400, "PATCH", f"{path}/{user['ID']}", body)
        await admin.refused(400, "POST", path, {"username": "m2", "password": USER_PASSWORD, **body})
    answer = await service.api.call("POST", "/login", {"user": name, "pass": ADMIN_PASSWORD})
    assert answer.status == (200 if fold(name) == "admin" else 401)


def test_names_of_others_are_left_alone() -> None:
    """Only what has just these letters is the administrator's name."""
    assert not any(map(spells_administrator, ("administrator", "admin1", "sysadmin", "admin@example.org", "dmin", "")))


@pytest.mark.parametrize(
    ("held", "wanted"),
    [("joe", "ｊｏｅ"), ("ｊｏｅ", "JOE"), ("joe", "jo\u200be"), ("ﬁsh", "fish"), ("straße", "STRASSE")],
)
async def test_one_name_in_other_letters(admin: Api, domain: int, held: str, wanted: str) -> None:
    """What is one name in another width, ligature or with characters that are not shown is taken, and not by whom."""
    if not held.isprintable():
        held = fold(held)
    await admin.make_user(domain, "owner", altnames=[{"altname": held}])
    other = await admin.make_user(domain, "other")
    path = f"/domains/{domain}/users/{other['ID']}"
    reason = await admin.refused(400, "PATCH", path, {"altnames": [{"altname": wanted}]})
    assert "owner" not in reason
    assert "example.org" not in reason


async def test_a_domain_in_other_letters(admin: Api) -> None:
    """An altname whose domain is written in Unicode is a user's name just as well."""
    domain = await admin.make_domain("bücher.example")
    await admin.make_user(domain, "jane")
    john = await admin.make_user(domain, "john")
    path = f"/domains/{domain}/users/{john['ID']}"
    for name in ("jane@bücher.example", "jane＠bücher.example", "JANE@xn--bcher-kva.example"):
        await admin.refused(400, "PATCH", path, {"altnames": [{"altname": name}]})


@given(text=st.text(max_size=20))
def test_folding(text: str) -> None:
    """A folded text is its own folded form, and letters' case has no part in it."""
    assert fold(fold(text)) == fold(text)
    assert fold(text.casefold()) == fold(text)


async def delegates(api: Api, path: str) -> list[str]:
    """The delegates of a user."""
    return list((await api.get(f"{path}/delegates"))["data"])


async def test_taking_and_dropping_an_address_moves_no_grant(
    admin: Api, helper: Api, organisation: tuple[int, int]
) -> None:
    """What another domain's users granted to an address that was nobody's is as it was after somebody had it."""
    one, other = organisation
    granter = f"/domains/{other}/users/{(await admin.make_user(other, 'granter'))['ID']}"
    user = f"/domains/{one}/users/{(await admin.make_user(one, 'u'))['ID']}"
    lists = ["ghost@a.example", "ghost@b.example", "far@outside.net"]
    await admin.put(f"{granter}/delegates", lists)
    await admin.put(f"{granter}/sendas", lists)
    for caller, alias in ((helper, "ghost@a.example"), (admin, "ghost@a.example"), (admin, "ghost@b.example")):
        await caller.patch(user, {"aliases": [alias]})
        # Its administrator looks at the list, and sends it back.
        await admin.put(f"{granter}/delegates", lists)
        await caller.patch(user, {"aliases": []})
        assert await delegates(admin, granter) == lists
        assert (await admin.get(f"{granter}/sendas"))["data"] == lists
    await helper.patch(user, {"username": "ghost"})
    await helper.patch(user, {"username": "u"})
    assert await delegates(admin, granter) == lists


async def test_an_alias_that_changes_hands_takes_no_grant_along(
    admin: Api, helper: Api, organisation: tuple[int, int]
) -> None:
    """What was granted to a user by an alias stays theirs when another gets the alias, takes it up and drops it."""
    one, other = organisation
    granter = f"/domains/{other}/users/{(await admin.make_user(other, 'granter'))['ID']}"
    victim = f"/domains/{one}/users/{(await admin.make_user(one, 'v', aliases=['boss@a.example']))['ID']}"
    mallory = f"/domains/{one}/users/{(await admin.make_user(one, 'm'))['ID']}"
    await admin.put(f"{granter}/delegates", ["boss@a.example"])
    await admin.post(f"{granter}/storeAccess", {"username": "boss@a.example"})
    await helper.patch(victim, {"aliases": []})
    await helper.patch(mallory, {"aliases": ["boss@a.example"]})
    assert await delegates(admin, granter) == ["v@a.example"]
    await helper.patch(mallory, {"aliases": []})
    assert await delegates(admin, granter) == ["v@a.example"]
    members = (await admin.get(f"{granter}/storeAccess"))["data"]
    assert [member["username"] for member in members] == ["v@a.example"]


async def test_a_grant_may_be_there_before_its_user(admin: Api, domain: int) -> None:
    """Within a domain a grant to an address follows whoever comes to have it, and goes with them."""
    granter = f"/domains/{domain}/users/{(await admin.make_user(domain, 'granter'))['ID']}"
    await admin.put(f"{granter}/delegates", ["new@example.org"])
    user = f"/domains/{domain}/users/{(await admin.make_user(domain, 'new'))['ID']}"
    await admin.patch(user, {"username": "newer"})
    assert await delegates(admin, granter) == ["newer@example.org"]
    await admin.delete(user)
    assert await delegates(admin, granter) == []


async def test_keys_of_an_older_schema(file_database: Database) -> None:
    """A migration makes the keys of today, and an altname that was made to look like another's name goes."""
    script = [row for row in migrations_of_names() if "member" not in row]

    def run(connection: Any) -> list[tuple[Any, ...]]:
        connection.execute(
            "INSERT INTO domains (id, domainname, displayname, max_user) VALUES (1, 'a.org', 'a.org', 9)"
        )
        rows = [
            (0, "username", "admin"), (1, "username", "joe@a.org"), (1, "altname", "ａｄｍｉｎ"), (1, "altname", "ﬁsh"),
            (2, "username", "ｊｏｅ@a.org"), (2, "altname", "ｊoe"), (2, "altname", "joe"),
        ]  # fmt: skip
        connection.executemany(
            "INSERT OR IGNORE INTO users (id, domain_id, username) VALUES (?, 1, ?)",
            [(user_id, text) for user_id, kind, text in rows if kind == "username"],
        )
        connection.executemany(
            "INSERT INTO addresses (user_id, kind, address, key) VALUES (?, ?, ?, ?)",
            [(user_id, kind, text, text) for user_id, kind, text in rows],
        )
        for statement in script:
            connection.execute(statement)
        found: list[tuple[Any, ...]] = connection.execute(
            "SELECT user_id, kind, address, key FROM addresses ORDER BY id"
        ).fetchall()
        return found

    assert await file_database.write(run) == [
        (0, "username", "admin", "admin"), (1, "username", "joe@a.org", "joe@a.org"), (1, "altname", "ﬁsh", "fish"),
        # Two mailboxes keep their addresses: mail that is there must not be lost.
        (2, "username", "ｊｏｅ@a.org", "ｊｏｅ@a.org"), (2, "altname", "joe", "joe"),
    ]  # fmt: skip


def migrations_of_names() -> list[str]:
    """The statements of the migration that brought today's keys."""
    (migration,) = [each for each in migrations() if each.number == 8]
    return list(statements(migration))


SEARCH, IMPORT, DUMP = (f"/domains/ldap/{name}" for name in ("search", "importUser", "dump"))
ALL = {"query": "some", "showAll": "true", "limit": "100"}


@pytest.fixture
def slapd() -> Any:
    """A server with people of two tenants, of a domain that is not here, without an address, and contacts."""
    with Slapd() as server:
        for name in ("a.example", "b.example", "nowhere.example"):
            add_person(server, f"some.{name}", mail=f"some@{name}", guid=name.encode())
        add_person(server, "some.mixed", "mailAlias: some2@a.example", mail="mixed@b.example", guid=b"mixed")
        add_person(server, "some.nomail", mail="", guid=b"nomail")
        for uid, mail in (("far", "far@outside.net"), ("near", "contact@b.example")):
            add_person(server, f"some.{uid}", "title: contact", mail=mail, guid=uid.encode())
        yield server


@pytest.fixture
async def directory(admin: Api, slapd: Slapd, organisation: tuple[int, int]) -> tuple[int, int]:
    """The domains of the organisation, with the directory configured."""
    users = {"filter": "(&(objectClass=inetOrgPerson)(!(title=contact)))", "contactFilter": "(title=contact)"}
    await admin.put(CONFIG, document(slapd, users=users))
    return organisation


@pytest.mark.slapd
async def test_search_and_dump_show_what_could_be_theirs(
    service: Service, admin: Api, directory: tuple[int, int]
) -> None:
    """A domain administrator sees people of domains they may read and contacts from elsewhere, by search and by ID."""
    one, other = directory
    callers = {
        "a": (await service.login_with(one, ("DomainAdmin", {"domain_id": one}), name="x"), {"domain": str(one)}),
        "read": (await service.login_with(one, ("DomainAdminRO", {"domain_id": one}), name="y"), {"domain": str(one)}),
        "both": (
            await service.login_with(
                one, ("DomainAdmin", {"domain_id": one}), ("DomainAdminRO", {"domain_id": other}), name="z"
            ),
            {"domain": str(one)},
        ),
        "org": (await service.login_with(one, ("OrgAdmin", {"org_id": 1}), name="o"), {"organization": "1"}),
        "system": (admin, {}),
        "system read": (await service.login_with(one, ("SystemAdminRO", {}), name="s"), {"domain": str(one)}),
    }
    ids = {
        name: name.replace(".", r"\2e")
        for name in ("a.example", "b.example", "nowhere.example", "mixed", "nomail", "far", "near")
    }
    own = {"a.example", "far"}
    in_both = {*own, "b.example", "mixed", "near"}
    expected = {"a": own, "read": own, "both": in_both, "org": in_both, "system": set(ids), "system read": set(ids)}
    for name, (caller, place) in callers.items():
        found = (await caller.get(SEARCH, params={**ALL, **place}))["data"]
        assert {person["ID"] for person in found} == {ids[each] for each in expected[name]}, name
        missing = set()
        for each, object_id in ids.items():
            answer = await caller.call("GET", DUMP, params={"ID": object_id, **place})
            assert answer.status in {200, 404}
            if answer.status == 404:
                missing.add(each)
                # As somebody who is not there.
                nobody = await caller.call("GET", DUMP, params={"ID": "nobody", **place})
                assert answer.body["message"].replace(object_id, "nobody") == nobody.body["message"]
        assert set(ids) - missing == expected[name], name


@pytest.mark.slapd
async def test_a_small_limit_finds_their_own(service: Service, slapd: Slapd, directory: tuple[int, int]) -> None:
    """Many people of others before them do not keep somebody's own people from being found."""
    for number in range(30):
        add_person(slapd, f"many{number}", mail=f"many{number}@b.example")
    add_person(slapd, "many.last", mail="many@a.example")
    caller = await service.login_with(directory[0], ("DomainAdmin", {"domain_id": directory[0]}))
    found = await caller.get(SEARCH, params={"query": "many", "limit": "1", "domain": str(directory[0])})
    assert [person["email"] for person in found["data"]] == ["many@a.example"]


@pytest.mark.slapd
async def test_others_objects_are_not_there(admin: Api, helper: Api, directory: tuple[int, int], slapd: Slapd) -> None:
    """Neither an import nor a link tells a domain administrator anything about an object of others."""
    one, _ = directory
    user = await admin.make_user(one, "u")
    for object_id in (r"b\2eexample", r"nowhere\2eexample", "mixed", "nomail", "near", "nobody"):
        reason = await helper.refused(400, "POST", IMPORT, params={"ID": object_id, "domain": str(one)})
        assert ".example" not in reason.replace(object_id, "")
        path = f"/domains/{one}/users/{user['ID']}/downsync"
        reason = await helper.refused(404, "PUT", path, params={"ID": object_id})
        assert "b.example" not in reason
    assert await admin.get(f"/domains/{one}/users/{user['ID']}") == user
    await helper.post(IMPORT, params={"ID": r"a\2eexample", "domain": str(one)})


@pytest.mark.slapd
@pytest.mark.parametrize("how", ["import", "downsync", "sync"])
async def test_names_of_the_directory_are_under_the_same_rule(
    service: Service, admin: Api, slapd: Slapd, directory: tuple[int, int], how: str
) -> None:
    """An alias or altname of the directory in a domain of others is left out, unless the user has it already."""
    one, _ = directory
    foreign = ["mailAlias: new@b.example", "mailAlias: own@a.example", "sAMAccountName: new.login@b.example"]
    slapd_document = document(slapd, users={"aliases": "mailAlias", "altname": "sAMAccountName"})
    await admin.put(CONFIG, slapd_document)
    add_person(slapd, "pat", *foreign, mail="pat@a.example", guid=b"pat")
    helper = await service.login_with(one, ("DomainAdmin", {"domain_id": one}))

    async def update(caller: Api) -> dict[str, Any]:
        if how == "import":
            await caller.call("POST", IMPORT, params={"ID": "pat", "domain": str(one)})
        elif how == "downsync":
            if not (await admin.get(f"/domains/{one}/users?username=pat@a.example"))["count"]:
                await admin.make_user(one, "pat")
            user = (await admin.get(f"/domains/{one}/users?username=pat@a.example"))["data"][0]
            await caller.put(f"/domains/{one}/users/{user['ID']}/downsync", params={"ID": "pat"})
        else:
            answer = await caller.call(
                "POST", f"/domains/{one}/ldap/downsync", params={"import": "true", "timeout": "60"}
            )
            assert answer.status == 200
            messages.append(item_of(answer.body, "pat@a.example")["message"])
        (found,) = (await admin.get(f"/domains/{one}/users?level=2&username=pat@a.example"))["data"]
        return dict(found)

    messages: list[str] = []
    after = await update(helper)
    assert (after["aliases"], after["altnames"]) == (["own@a.example"], [])
    assert all("new@b.example" in message and "new.login@b.example" in message for message in messages)
    after = await update(admin)
    assert set(after["aliases"]) == {"own@a.example", "new@b.example"}
    assert [entry["altname"] for entry in after["altnames"]] == ["new.login@b.example"]
    assert await update(helper) == after


@pytest.mark.slapd
async def test_the_directory_makes_nobody_admin(admin: Api, slapd: Slapd, directory: tuple[int, int]) -> None:
    """An altname of the directory that reads as the administrator's is left out."""
    await admin.put(CONFIG, document(slapd, users={"altname": "sAMAccountName"}))
    name = base64.b64encode("ａｄｍｉｎ".encode()).decode()
    add_person(slapd, "pat", f"sAMAccountName:: {name}", mail="pat@a.example", guid=b"pat")
    user = await admin.post(IMPORT, params={"ID": "pat", "domain": str(directory[0])})
    assert user["altnames"] == []
