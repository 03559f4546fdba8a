"""postroom domain: each command at both places."""

from tests.support.commands import Command
from tests.support.service import Api


async def test_a_whole_life(command: Command, admin: Api) -> None:
    """A domain is created, listed, shown, changed, deleted, restored and purged by name."""
    org = (await admin.post("/system/orgs", {"name": "Example Ltd"}))["ID"]
    made = await command("domain", "create", "Bücher.example", "--max-users", "9", "--org", "Example Ltd", "--role")
    assert made.out == "The domain bücher.example has been created\n"
    assert len((await admin.get("/system/roles"))["data"]) == 1
    path = "/system/domains/1"
    assert (await admin.get(path))["orgID"] == org
    assert (await command("domain", "show", "bücher.example", "--json")).data == await admin.get(path)
    assert "9" in (await command("domain", "show", "xn--bcher-kva.example")).out
    listed = await command("domain", "list")
    assert listed.out.splitlines()[1].split() == ["bücher.example", "-", "active", "0", "of", "9", "0", str(org)]
    changed = await command(
        "domain", "set", "bücher.example", "1", "--org", "", "--status", "suspended", "--title", "T"
    )
    assert changed.out == "The domain bücher.example has been changed\n" * 2
    domain = await admin.get(path)
    assert (domain["orgID"], domain["domainStatus"], domain["title"], domain["maxUser"]) == (0, 1, "T", 9)
    assert "--yes" in (await command("domain", "delete", "bücher.example", code=2)).err
    for given, stored in (("oof, forward", ["oof", "forward"]), ("", []), ("default", ["oof", "devices"])):
        await command("domain", "set", "bücher.example", "--self-service", given)
        assert (await admin.get(path))["selfService"] == stored
    await command("domain", "delete", "bücher.example", "--yes")
    assert (await admin.get(path))["domainStatus"] == 3
    await command("domain", "restore", "bücher.example")
    assert (await admin.get(path))["domainStatus"] == 0
    await command("domain", "delete", "--purge", "--yes", "-", given="bücher.example\n")
    assert (await admin.get("/system/domains"))["count"] == 0


#: (arguments, reason)
REFUSED = [
    (("create", "example.org"), "maxUser"),
    (("create", "example", "--max-users", "1"), "at least two parts"),
    (("create", "example.com", "--max-users", "1", "--org", "Exmaple"), "There is no organisation 'Exmaple'"),
    (("set", "example.org", "--status", "deleted"), "There is no status"),
    (("set", "example.org"), "nothing to change"),
    (("set", "example.org", "--end", "soon"), "endDay"),
    (("set", "example.org", "--self-service", "password"), "selfService"),
    (("show", "exmple.org"), "Did you mean example.org?"),
    (("show", "99"), "There is no domain '99'"),
]


async def test_what_is_refused(command: Command, admin: Api) -> None:
    """One line with the reason, exit code 2, and nothing is stored."""
    await admin.make_domain("example.org")
    before = await admin.get("/system/domains", params={"level": 2})
    for arguments, reason in REFUSED:
        assert reason in (await command("domain", *arguments, code=2)).err
    assert await admin.get("/system/domains", params={"level": 2}) == before
