"""People with names in many scripts, in a domain with an international name, through every operation."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.support.service import ADMIN_PASSWORD, Api, Service

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "people.json").read_text("utf-8"))


@pytest.fixture
async def people(admin: Api) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(as recorded, as the service shows it) of everybody."""
    domain = await admin.make_domain(RECORDED["domain"])
    found = await admin.get(f"/system/domains/{domain}")
    assert found["domainname"] == RECORDED["ascii"]
    made = []
    for person in RECORDED["users"]:
        user = await admin.make_user(
            domain,
            person["username"],
            aliases=[f"{alias}@{RECORDED['domain']}" for alias in person["aliases"]],
            altnames=[{"altname": person["altname"]}],
            properties={"displayname": person["display"]},
        )
        made.append((person, user))
    return made


async def test_everybody_through_every_operation(
    service: Service, admin: Api, people: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """What is put comes back as it was, whoever it is about; names are found in any case."""
    usernames = [user["username"] for _, user in people]
    for number, (person, user) in enumerate(people):
        path = f"/domains/{user['domainID']}/users/{user['ID']}"
        others = usernames[:number] + usernames[number + 1 :]
        assert user["username"].endswith("@" + RECORDED["ascii"])
        assert user["username"] == user["username"].lower()
        assert user["properties"]["displayname"] == person["display"]
        assert user["altnames"] == [{"altname": person["altname"], "magic": 0}]
        assert await admin.patch(path, user) == user
        query = urlencode({"match": person["search"], "matchProps": "displayname", "level": 0})
        matches = (await admin.get(f"/domains/{user['domainID']}/users?{query}"))["data"]
        assert user["ID"] in [match["ID"] for match in matches], person
        for kind in ("delegates", "sendas"):
            await admin.put(f"{path}/{kind}", others)
            assert (await admin.get(f"{path}/{kind}"))["data"] == others
        await admin.put(f"{path}/storeAccess", {"usernames": [other.upper() for other in others if other.isascii()]})
        await admin.put(f"{path}/storeAccess", {"usernames": others})
        shown = (await admin.get(f"{path}/storeAccess"))["data"]
        assert {member["username"] for member in shown} == set(others)
        await admin.delete(f"{path}/storeAccess/{quote(others[0])}")
        await admin.post(f"{path}/storeAccess", {"username": others[0]})
        await admin.patch(f"{path}/storeProps", {"comment": person["display"] * 3, "nickname": "🦊"})
        stored = (await admin.get(f"{path}/storeProps?properties=comment,nickname"))["data"]
        assert stored == {"comment": person["display"] * 3, "nickname": "🦊"}
        await admin.delete(f"{path}/storeProps?properties=nickname")
        subject = person["display"].replace("\n", " ").replace("\t", " ")
        await admin.put(f"{path}/oof", {"state": 1, "internalSubject": subject, "internalReply": person["display"]})
        assert (await admin.get(f"{path}/oof"))["internalSubject"] == subject
        report = {"devicetype": "📱", "deviceuser": user["username"], "useragent": subject}
        await admin.put(f"/service/sync/{quote(user['username'])}/device{number}", report)
        (device,) = (await admin.get(f"{path}/sync"))["data"]
        assert (device["devicetype"], device["useragent"]) == ("📱", subject)
        await admin.put(f"{path}/sync/device{number}/resync")
        await admin.call("POST", f"{path}/sync/device{number}/wipe", {"password": ADMIN_PASSWORD})
        await admin.delete(f"{path}/sync/device{number}/wipe")
        assert (await admin.get(f"/service/userinfo/{quote(user['username'])}")) == {"ldap": False}
        await admin.get(f"/service/syncPolicy/{quote(user['username'])}")
        await admin.put(f"{path}/password", {"new": person["display"] + " geheim"})
        await admin.delete(f"{path}/sync/device{number}")


async def test_everybody_can_be_renamed_and_deleted(
    admin: Api, people: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    """Renames and deletions go through everybody's lists, in every script."""
    first, *others = [user for _, user in people]
    domain = first["domainID"]
    path = f"/domains/{domain}/users/{first['ID']}"
    await admin.put(f"{path}/delegates", [user["username"] for user in others])
    for number, user in enumerate(others):
        await admin.patch(f"/domains/{domain}/users/{user['ID']}", {"username": f"Ünïque{number}"})
    renamed = [f"ünïque{number}@{RECORDED['ascii']}" for number in range(len(others))]
    assert (await admin.get(f"{path}/delegates"))["data"] == renamed
    for user in others:
        await admin.delete(f"/domains/{domain}/users/{user['ID']}")
    assert (await admin.get(f"{path}/delegates"))["data"] == []
    assert (await admin.get(f"/domains/{domain}/users"))["count"] == 1
