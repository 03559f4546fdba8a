"""A store with something in every table, made through the API, and everything that the API shows of it."""

import itertools
import re
from typing import Any, Final

from postroom.app.routes import ROUTES
from postroom.storage import tasks
from tests.support.service import ADMIN_PASSWORD, Api, Service

_DIRECTORY: Final = {
    "connection": {"server": "ldap://127.0.0.1:9", "bindUser": "cn=x", "bindPass": "bind secret"},
    "baseDn": "dc=x",
    "objectID": "entryUUID",
    "users": {"username": "mail"},
}
_REPORT: Final = {"devicetype": "Pixel", "useragent": "Mail/9", "asversion": 16.1, "lastconnecttime": 1_785_574_800}
#: One property of each kind; of the numbers one below and one above 32 bits, of the truth values both.
PROPERTIES: Final = {
    "displayname": "Jane Döe ﬁ",
    "comment": "two\nlines, a ' and a \" and a \\ and a tab\t",
    "gender": -3,
    "storagequotalimit": 1_048_576,
    "changenumber": 2**62,
    "addressbookismaster": True,
    "alternaterecipientallowed": False,
    "birthday": "1980-02-29 00:00:00",
    "accesscontrollistdata": "AAEC/w==",
    "addressbookx509certificate": ["AAEC/w==", "AA=="],
    "addressbookproxyaddresses": ["smtp:jane@example.org", "SMTP:ä@example.org"],
    "delegateflags": [1, 2],
}

#: What is not about the store, or tells about the machine.
_ELSEWHERE: Final = (
    "/status", "/about", "/openapi.json", "/tasq/status", "/chkFormat", "/domains/ldap", "/system/dashboard",
    "/domains/{domainID}/dnsCheck", "/profile", "/sessions", "/me",
    "/system/settings", "/system/health",
)  # fmt: skip
_LISTS: Final = (
    "/domains/1/users?level=2&sort=username,desc",
    "/domains/1/users?match=döe&matchProps=displayname",
    "/domains/1/users?match=e",
    "/domains/1/users?sort=displayname&filterProp=displaytypeex:0",
    "/system/users?level=2&match=example",
    "/system/domains?level=2",
    "/tasq/tasks?sort=ID",
)
_KNOWN: Final = {
    "domainID": ("1", "2", "3"),
    "userID": tuple(map(str, range(10))),
    "ID": ("0", "1", "2", "3", "4"),
    "deviceID": ("phone", "tablet", "nothing"),
    "username": ("jane@example.org", "j.doe@example.org", "hall@example.org", "old@example.org"),
}


async def fill(service: Service, admin: Api) -> None:
    """Makes something in every table; some of what had the last IDs is deleted again."""
    org = (await admin.post("/system/orgs", {"name": "Älteste Org", "description": "the first"}))["ID"]
    one = await admin.make_domain(
        "example.org", orgID=org, syncPolicy={"allowcam": 0}, title="One", chat=True, selfService=["oof", "forward"]
    )
    two = await admin.make_domain("bücher.example", orgID=org)
    await admin.put("/system/mconf/ldap?force=true", _DIRECTORY)
    await admin.put(f"/system/orgs/{org}/ldap?force=true", {**_DIRECTORY, "baseDn": "dc=y"})
    await admin.put("/system/mconf/authmgr", {"authBackendSelection": "externid"})
    await admin.patch("/defaults/createParams", {"user": {"smtp": True}})
    await admin.patch(f"/defaults/createParams/{one}", {"user": {"lang": "de_DE"}})
    await admin.put(f"/domains/{one}/disabledPlugins", ["chat"])
    await _fill_domain(admin, one, two)
    await _add_tokens(admin, 1, one, org)
    await service.context.database.write(_add_syncs)
    await _delete_last(admin, one)


async def _fill_domain(admin: Api, one: int, two: int) -> None:
    mail = {"srcServer": "mail.example.net", "srcUser": "jane", "srcPassword": "elsewhere"}
    jane = await admin.make_user(
        one, "jane", properties=PROPERTIES, aliases=["j.doe@example.org", "straße@example.org"],
        altnames=[{"altname": "jd"}], fetchmail=[mail, {**mail, "active": False}], syncPolicy={"allowbluetooth": 1},
        forward={"forwardType": 1, "destination": "far@example.net"},
    )  # fmt: skip
    path = f"/domains/{one}/users/{jane['ID']}"
    await admin.make_user(one, "john")
    await admin.make_user(one, "hall", status=4)
    contact = {"status": 5, "properties": {"smtpaddress": "guest@example.net"}}
    await admin.post(f"/domains/{one}/users", contact)
    await admin.make_user(one, "old")
    await admin.delete(f"/domains/{one}/users/5")
    await admin.make_user(two, "ute", status=1)
    await admin.put(f"{path}/delegates", ["john@example.org", "later@example.org"])
    await admin.put(f"{path}/sendas", ["hall@example.org"])
    await admin.put(f"{path}/storeAccess", {"usernames": ["john@example.org"]})
    times = {"startTime": "2026-03-01 08:00:00", "endTime": "2026-03-09 18:00:00"}
    await admin.put(f"{path}/oof", {"state": 2, **times, "internalSubject": "Away", "internalReply": "<p>Föhn</p>"})
    for device in ("phone", "tablet", "watch"):
        await admin.put(f"/service/sync/jane@example.org/{device}", _REPORT)
    await admin.call("POST", f"{path}/sync/phone/wipe", {"password": ADMIN_PASSWORD, "status": 16})
    await admin.put(f"{path}/sync/tablet/resync")
    await admin.delete(f"{path}/sync/watch")
    await admin.post(
        "/system/roles",
        {
            "name": "Helpers",
            "permissions": [{"permission": "ResetPasswd"}, {"permission": "DomainAdmin", "params": one}],
            "users": [jane["ID"]],
        },
    )


async def _add_tokens(admin: Api, owner: int, domain: int, org: int) -> None:
    """Tokens of every kind; the last one is revoked again."""
    scope = [{"permission": "DomainAdmin", "params": domain}]
    await admin.post("/tokens", {"name": "all", "expires": None})
    await admin.post("/tokens", {"name": "Grüße", "owner": owner, "permissions": scope, "networks": ["192.0.2.7/24"]})
    scope = [{"permission": "OrgAdmin", "params": org}, {"permission": "DomainPurge", "params": "*"}]
    await admin.post("/tokens", {"name": "reader", "permissions": scope, "readOnly": True})
    last = await admin.post("/tokens", {"name": "gone", "permissions": scope})
    await admin.delete(f"/tokens/{last['ID']}")


def _add_syncs(connection: Any) -> None:
    """What updates from a directory have left."""
    connection.execute("UPDATE users SET ldap_id = ? WHERE username = ?", ("ab\\2dcd", "john@example.org"))
    now, owner = "2026-01-01 00:00:00", tasks.Owner("owner", "node", 1)
    for number in range(3):
        task_id = tasks.insert_task(connection, "ldapSync", {"dryRun": False}, None, owner, 1, now)
        items = [
            tasks.Item("ab\\2dcd", 1, 2, "john", "update", 200, "", {"lang": ["", "de_DE"]}),
            tasks.Item(f"{number}", 0, None, "nobody", "skip", 404, "Is unknown"),
        ]
        tasks.insert_items(connection, task_id, items)
        tasks.update_task(connection, task_id, tasks.COMPLETED, "done", now)


async def _delete_last(admin: Api, domain: int) -> None:
    """Deletes what has the last ID of each kind."""
    user = await admin.make_user(domain, "gone")
    await admin.delete(f"/domains/{domain}/users/{user['ID']}")
    last = await admin.make_domain("gone.example")
    await admin.delete(f"/system/domains/{last}?purge=true")
    for path in ("/system/orgs", "/system/roles"):
        made = await admin.post(path, {"name": "gone", **({"permissions": []} if path == "/system/roles" else {})})
        await admin.delete(f"{path}/{made['ID']}")
    await admin.delete("/tasq/tasks/3")


async def documents(admin: Api) -> dict[str, Any]:
    """What each read of the API responds, also about what is not there: path -> (status, body)."""
    paths = [*_LISTS]
    for route in ROUTES:
        if route.method == "GET" and not route.path.startswith(_ELSEWHERE):
            names = re.findall(r"{(\w+)}", route.path)
            found = itertools.product(*(_KNOWN[name] for name in names))
            paths += [route.path.format(**dict(zip(names, values, strict=True))) for values in found]
    shown = {}
    for path in paths:
        answer = await admin.call("GET", path)
        shown[path] = (answer.status, answer.body)
    return shown
