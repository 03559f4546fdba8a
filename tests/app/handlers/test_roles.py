"""Roles, and who has them."""

from typing import Any

import pytest

from tests.support.service import Api, Service

ADMINISTERS_ONE = {"permission": "DomainAdmin", "params": 1}


async def make_role(admin: Api, *permissions: dict[str, Any], name: str = "Helpers", **fields: Any) -> dict[str, Any]:
    """A new role as the answer shows it."""
    role: dict[str, Any] = await admin.post("/system/roles", {"name": name, "permissions": permissions, **fields})
    return role


async def test_create(admin: Api, domain: int) -> None:
    """A new role has its name, description, permissions and holders, and a read answers the same."""
    user = await admin.make_user(domain, "jane")
    role = await make_role(admin, ADMINISTERS_ONE, {"permission": "ResetPasswd"}, users=[user["ID"]], description="x")
    first, second = role["permissions"]
    assert (first["permission"], first["params"]) == ("DomainAdmin", domain)
    assert (second["permission"], second["params"]) == ("ResetPasswd", None)
    assert role["users"] == [{"ID": user["ID"], "username": "jane@example.org"}]
    assert (role["name"], role["description"]) == ("Helpers", "x")
    assert await admin.get(f"/system/roles/{role['ID']}") == role


async def test_create_with_a_name_alone(admin: Api) -> None:
    """A role may be empty: without permissions, holders and description."""
    role = await admin.post("/system/roles", {"name": "Empty"})
    assert role == {"ID": role["ID"], "name": "Empty", "description": None, "permissions": [], "users": []}


@pytest.mark.parametrize(
    "permission",
    [
        {"permission": "DomainAdmin", "params": "*"},
        {"permission": "DomainAdminRO", "params": 1},
        {"permission": "DomainPurge", "params": 1},
        {"permission": "OrgAdmin", "params": 1},
        {"permission": "OrgAdmin", "params": "*"},
        {"permission": "SystemAdmin"},
        {"permission": "SystemAdminRO", "params": None},
        {"permission": "ResetPasswd", "params": ""},
        {"ID": 7, **ADMINISTERS_ONE},
    ],
)
async def test_permissions(admin: Api, domain: int, permission: dict[str, Any]) -> None:
    """Each kind of permission is stored with what it is about, and reads as it can be sent back."""
    await admin.post("/system/orgs", {"name": "Acme"})
    (stored,) = (await make_role(admin, permission))["permissions"]
    assert set(stored) == {"ID", "permission", "params"}
    assert (stored["permission"], stored["params"]) == (permission["permission"], permission.get("params") or None)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "x" * 33}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "HELPERS"}, "name"),
        ({"description": "x" * 257}, "description"),
        ({"permissions": None}, "permissions"),
        ({"permissions": {}}, "permissions"),
        ({"permissions": ["SystemAdmin"]}, "permissions.0"),
        ({"permissions": [{}]}, "permissions.0.permission"),
        ({"permissions": [{"permission": "Everything"}]}, "permissions.0.permission"),
        ({"permissions": [{"permission": "systemadmin"}]}, "permissions.0.permission"),
        ({"permissions": [{"permission": "SystemAdmin", "params": 1}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "SystemAdmin", "params": "*"}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "ResetPasswd", "params": "example.org"}]}, "permissions.0.params"),
        ({"permissions": [ADMINISTERS_ONE, {"permission": "DomainAdmin"}]}, "permissions.1.params"),
        ({"permissions": [{"permission": "DomainAdmin", "params": 99}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "DomainAdmin", "params": "1"}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "DomainAdmin", "params": True}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "DomainAdmin", "params": 2**70}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "DomainPurge", "params": ""}]}, "permissions.0.params"),
        ({"permissions": [{"permission": "OrgAdmin", "params": 1}]}, "permissions.0.params"),
        ({"permissions": [{**ADMINISTERS_ONE, "more": 1}]}, "permissions.0.more"),
        ({"users": [99]}, "users"),
        ({"users": [0]}, "users"),
        ({"users": ["1"]}, "users"),
        ({"users": None}, "users"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_create_refuses(admin: Api, domain: int, fields: dict[str, Any], named: str) -> None:
    """Each wrong field is named in a 400, and no role is made."""
    await make_role(admin)
    assert named in await admin.refused(400, "POST", "/system/roles", {"name": "New", **fields})
    assert (await admin.get("/system/roles"))["count"] == 1


async def test_names_are_unique_without_case(admin: Api) -> None:
    """A name that differs in case only is taken, also for a role that is renamed, but not by the role itself."""
    first, second = await make_role(admin, name="Straße"), await make_role(admin, name="Other")
    assert "name" in await admin.refused(400, "PATCH", f"/system/roles/{second['ID']}", {"name": "STRASSE"})
    assert (await admin.patch(f"/system/roles/{first['ID']}", {"name": "STRASSE"}))["name"] == "STRASSE"


async def test_patch(admin: Api, domain: int) -> None:
    """Only the fields given change; lists are replaced, and a permission that stays keeps its ID."""
    jane, john = await admin.make_user(domain, "jane"), await admin.make_user(domain, "john")
    role = await make_role(admin, ADMINISTERS_ONE, {"permission": "ResetPasswd"}, users=[jane["ID"]])
    path = f"/system/roles/{role['ID']}"
    assert await admin.patch(path, {"description": "new"}) == {**role, "description": "new"}
    changed = await admin.patch(path, {"users": [john["ID"], john["ID"]], "permissions": [ADMINISTERS_ONE] * 2})
    assert changed["permissions"] == role["permissions"][:1]
    assert [user["username"] for user in changed["users"]] == ["john@example.org"]
    assert (await admin.patch(path, {"users": [], "description": None}))["users"] == []


async def test_patch_takes_what_a_read_answers(admin: Api, domain: int) -> None:
    """A role can be sent back as it was read, and stays as it is; another ID cannot be given to it."""
    user = await admin.make_user(domain, "jane")
    role = await make_role(admin, ADMINISTERS_ONE, users=[user["ID"]])
    path = f"/system/roles/{role['ID']}"
    assert await admin.patch(path, role) == role
    assert "ID" in await admin.refused(400, "PATCH", path, {"ID": role["ID"] + 1})


async def test_a_refused_patch_changes_nothing(admin: Api, domain: int) -> None:
    """When one part is wrong, nothing of the others is stored."""
    role = await make_role(admin, ADMINISTERS_ONE)
    path = f"/system/roles/{role['ID']}"
    await admin.refused(400, "PATCH", path, {"name": "Other", "permissions": [], "users": [99]})
    assert await admin.get(path) == role


@pytest.mark.parametrize("number", ["99", "x", str(2**70), "-1"])
async def test_unknown_role(admin: Api, number: str) -> None:
    """A role that is not there is a 404 for every verb."""
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        await admin.refused(404, method, f"/system/roles/{number}", body)


async def test_levels(admin: Api) -> None:
    """Level 0 has ID and name, 1 description and permissions, too, and 2 the holders as well."""
    role = await make_role(admin)
    sets = [set(), {"description", "permissions"}, {"description", "permissions", "users"}]
    for level, more in enumerate(sets):
        assert set(await admin.get(f"/system/roles/{role['ID']}?level={level}")) == {"ID", "name"} | more
        assert set((await admin.get(f"/system/roles?level={level}"))["data"][0]) == {"ID", "name"} | more
    assert set((await admin.get("/system/roles"))["data"][0]) == {"ID", "name", "description", "permissions"}


@pytest.mark.parametrize(
    ("query", "names", "count"),
    [
        ("", ["b", "A", "c"], 3),
        ("sort=name", ["A", "b", "c"], 3),
        ("sort=name,desc", ["c", "b", "A"], 3),
        ("sort=description,desc&sort=ID,desc", ["A", "c", "b"], 3),
        ("sort=name&limit=1&offset=1", ["b"], 3),
        ("limit=0", [], 3),
        ("offset=5", [], 3),
        ("match=B", ["b"], 1),
        ("match=see", ["A"], 1),
        ("match=see&matchFields=name", [], 0),
        ("match=%25", [], 0),
        ("ID=1,3", ["b", "c"], 2),
        ("name=c", ["c"], 1),
        ("description=sees", ["A"], 1),
    ],
)
async def test_list(admin: Api, query: str, names: list[str], count: int) -> None:
    """A list is sorted, searched, filtered and paged as asked, and counts what matches."""
    for name, description in (("b", None), ("A", "sees"), ("c", None)):
        await make_role(admin, name=name, description=description)
    answer = await admin.get(f"/system/roles?{query}")
    assert ([role["name"] for role in answer["data"]], answer["count"]) == (names, count)


async def test_list_without_a_limit_has_all(admin: Api) -> None:
    """Clients do not page here: without a limit every role is there."""
    for number in range(60):
        await make_role(admin, name=f"role {number}")
    assert len((await admin.get("/system/roles"))["data"]) == 60


@pytest.mark.parametrize("query", ["sort=name,up", "limit=-1", "level=x"])
async def test_list_refuses(admin: Api, query: str) -> None:
    """A query that makes no sense is a 400."""
    await admin.refused(400, "GET", f"/system/roles?{query}")


async def test_names_of_permissions(admin: Api) -> None:
    """The list of permissions has the seven that there are."""
    assert set((await admin.get("/system/roles/permissions"))["data"]) == {
        "SystemAdmin", "SystemAdminRO", "OrgAdmin", "DomainAdmin", "DomainAdminRO", "DomainPurge", "ResetPasswd",
    }  # fmt: skip


async def test_only_system_administrators_give_roles(service: Service, admin: Api, domain: int) -> None:
    """Who reads everything reads roles and changes none; who administers a domain does neither."""
    reader = await service.login_with(domain, ("SystemAdminRO", {}), name="reader")
    helper = await service.login_with(domain, ("DomainAdmin", {"everything": True}), name="helper")
    own = (await helper.get("/profile"))["user"]["ID"]
    await reader.get("/system/roles/1")
    await helper.refused(403, "GET", "/system/roles")
    await helper.refused(403, "GET", "/system/roles/permissions")
    for caller in (reader, helper):
        await caller.refused(403, "POST", "/system/roles", {"name": "Mine"})
        await caller.refused(403, "PATCH", "/system/roles/1", {"permissions": [{"permission": "SystemAdmin"}]})
        await caller.refused(403, "DELETE", "/system/roles/1")
        await caller.refused(403, "PATCH", f"/domains/{domain}/users/{own}/roles", {"roles": [1]})


async def test_roles_of_a_user(admin: Api, domain: int) -> None:
    """PATCH replaces the roles of a user, each once, and answers those they have; so does the user's document."""
    user = await admin.make_user(domain, "jane")
    path = f"/domains/{domain}/users/{user['ID']}"
    one, two = await make_role(admin, name="one"), await make_role(admin, name="two")
    expected = [{"ID": one["ID"], "name": "one"}, {"ID": two["ID"], "name": "two"}]
    assert await admin.patch(f"{path}/roles", {"roles": [two["ID"], one["ID"], two["ID"]]}) == {"data": expected}
    assert (await admin.get(path))["roles"] == expected
    assert await admin.patch(f"{path}/roles", {"roles": expected[:1]}) == {"data": expected[:1]}
    assert await admin.patch(f"{path}/roles", {}) == {"data": expected[:1]}
    assert await admin.patch(f"{path}/roles", {"roles": []}) == {"data": []}


@pytest.mark.parametrize("roles", [None, [99], ["1"], [None], [{}], 1, {"1": 1}])
async def test_roles_of_a_user_refuses(admin: Api, domain: int, roles: Any) -> None:
    """What is no list of roles that exist is a 400 naming the field, and the user keeps theirs."""
    user = await admin.make_user(domain, "jane")
    role = await make_role(admin, users=[user["ID"]])
    path = f"/domains/{domain}/users/{user['ID']}"
    assert "roles" in await admin.refused(400, "PATCH", f"{path}/roles", {"roles": roles})
    assert [held["ID"] for held in (await admin.get(path))["roles"]] == [role["ID"]]


async def test_roles_through_another_domain(admin: Api, domain: int) -> None:
    """A user of one domain under the path of another is a 404, and gets no role; so is the administrator."""
    other = await admin.make_domain("other.org")
    user = await admin.make_user(other, "john")
    role = await make_role(admin)
    for user_id in (user["ID"], 0, 99):
        await admin.refused(404, "PATCH", f"/domains/{domain}/users/{user_id}/roles", {"roles": [role["ID"]]})
    assert (await admin.get(f"/domains/{other}/users/{user['ID']}"))["roles"] == []


async def test_a_user_with_roles_can_be_sent_back(service: Service, admin: Api, domain: int) -> None:
    """PATCH of a user takes the roles they have as they were read, and refuses others."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    user = (await helper.get("/profile"))["user"]
    path = f"/domains/{domain}/users/{user['ID']}"
    whole = await helper.get(path)
    assert len(whole["roles"]) == 1
    assert await helper.patch(path, whole) == whole
    for roles in ([], [{**whole["roles"][0], "name": "other"}], [whole["roles"][0]["ID"]]):
        assert "roles" in await helper.refused(400, "PATCH", path, {"roles": roles})


async def test_a_changed_role_counts_at_once(service: Service, admin: Api, domain: int) -> None:
    """A token given out before allows what its user's roles allow now."""
    helper = await service.login_with(domain, ("DomainAdminRO", {"domain_id": domain}))
    users = f"/domains/{domain}/users"
    role = (await helper.get("/profile"))["user"]["roles"][0]["ID"]
    await helper.refused(403, "POST", users, {"username": "new", "status": 4})
    await admin.patch(f"/system/roles/{role}", {"permissions": [ADMINISTERS_ONE]})
    await helper.post(users, {"username": "new", "status": 4})
    await admin.patch(f"/system/roles/{role}", {"permissions": []})
    await helper.refused(403, "GET", users)


@pytest.mark.parametrize("how", ["delete", "holders", "user"])
async def test_a_role_taken_away_ends_the_login_at_once(service: Service, admin: Api, domain: int, how: str) -> None:
    """Whoever has no role any more is out, whichever way it went."""
    helper = await service.login_with(domain, ("DomainAdmin", {"domain_id": domain}))
    user = (await helper.get("/profile"))["user"]
    role = user["roles"][0]["ID"]
    if how == "delete":
        await admin.delete(f"/system/roles/{role}")
    elif how == "holders":
        await admin.patch(f"/system/roles/{role}", {"users": []})
    else:
        await admin.patch(f"/domains/{domain}/users/{user['ID']}/roles", {"roles": []})
    await helper.refused(401, "GET", f"/domains/{domain}/users")


async def test_a_purged_domain_leaves_its_roles(admin: Api, domain: int) -> None:
    """A role loses the permission about a domain that is purged and the holders who went with it, and stays."""
    other = await admin.make_domain("other.org")
    user = await admin.make_user(domain, "jane")
    role = await make_role(admin, ADMINISTERS_ONE, {"permission": "DomainAdmin", "params": other}, users=[user["ID"]])
    await admin.delete(f"/system/domains/{domain}?purge=true")
    left = await admin.get(f"/system/roles/{role['ID']}")
    assert ([held["params"] for held in left["permissions"]], left["users"]) == ([other], [])


async def test_versions(admin: Api, domain: int) -> None:
    """Of two who add a holder to the role that they have read, the second gets a 412, and the first holder stays."""
    one, two = [await admin.make_user(domain, name) for name in ("one", "two")]
    made = await admin.call("POST", "/system/roles", {"name": "readers", "permissions": []})
    path, read = f"/system/roles/{made.body['ID']}", made.headers["ETag"]
    assert (await admin.call("GET", path)).headers["ETag"] == read
    assert "ETag" not in (await admin.call("GET", f"{path}?level=1")).headers
    changed = await admin.call("PATCH", path, {"users": [one["ID"]]}, headers={"If-Match": read})
    assert changed.headers["ETag"] == (await admin.call("GET", path)).headers["ETag"] != read
    await admin.refused(412, "PATCH", path, {"users": [two["ID"]]}, headers={"If-Match": read})
    assert [user["ID"] for user in (await admin.get(path))["users"]] == [one["ID"]]
    await admin.refused(404, "PATCH", "/system/roles/999", {"name": "x"}, headers={"If-Match": read})
