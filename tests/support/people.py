"""Adds people to a test's directory, and has the calls that most tests of the directory share."""

import base64
from collections import Counter
from typing import Any

from tests.support.service import Api
from tests.support.slapd import Slapd, config_document

CONFIG = "/system/mconf/ldap"


def add_person(server: Slapd, uid: str, *lines: str, mail: str | None = None, guid: bytes | None = None) -> str:
    """Adds an entry with an address in example.com, or `mail`; returns its DN. `lines` are further LDIF."""
    dn = f"uid={uid},{server.people_dn}"
    raw = base64.b64encode(uid.encode() if guid is None else guid).decode()
    address = f"{uid}@example.com" if mail is None else mail
    found = [f"mail: {address}"] if address else []
    server.add(
        "\n".join(
            [
                f"dn: {dn}", "objectClass: inetOrgPerson", "objectClass: mailPerson", f"uid: {uid}", f"cn: {uid}",
                "sn: Test", f"displayName: {uid.title()}", f"objectGUID:: {raw}", *found, *lines, "",
            ]
        )
    )  # fmt: skip
    return dn


def change_person(server: Slapd, dn: str, *lines: str) -> None:
    """Changes an entry: LDIF lines after `changetype: modify`."""
    server.modify("\n".join([f"dn: {dn}", "changetype: modify", *lines, ""]))


def document(server: Slapd, **changes: Any) -> dict[str, Any]:
    """The configuration with the binary object ID; changes of `users` are merged in."""
    usual = {**config_document(server), "objectID": "objectGUID"}
    users = {**usual["users"], **changes.pop("users", {})}
    return {**usual, "users": users, **changes}


async def sync(api: Api, path: str = "/domains/ldap/downsync", **params: str) -> dict[str, Any]:
    """The response of a finished update of many users."""
    answer = await api.call("POST", path, params={"timeout": "60", **params})
    assert answer.status == 200, answer.body
    return dict(answer.body)


def actions(answer: dict[str, Any]) -> Counter[str]:
    """Action -> number of users."""
    return Counter(item["action"] for item in answer["data"])


def item_of(answer: dict[str, Any], username: str) -> dict[str, Any]:
    """The item of one user."""
    (found,) = [item for item in answer["data"] if item["username"] == username]
    return dict(found)
