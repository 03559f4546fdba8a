"""The dict protocol, in which Dovecot asks for somebody's script."""

import re
from typing import Any

import pytest

from postroom.app.mail.dict import Dict
from postroom.app.mail.fields import split_fields
from postroom.app.mail.vacation import NOTHING, script_id
from postroom.app.services.context import Context
from postroom.storage import vacations
from tests.support.service import Api, Service

NAME, DATA = b"Lpriv/sieve/name/oof", b"Lpriv/sieve/data/"
HELLO = b"H3\t2\t0\tanna@example.org\tsieve"


@pytest.fixture
def context(service: Service) -> Context:
    """The parts of a running service."""
    return service.context


@pytest.fixture
async def anna(admin: Api) -> str:
    """Somebody who is out of office; the path of the settings."""
    domain = await admin.make_domain("example.org")
    user = await admin.make_user(domain, "anna", aliases=["a@example.org"])
    await admin.make_user(domain, "bert")
    path = f"/domains/{domain}/users/{user['ID']}/oof"
    await admin.put(path, {"state": 1, "internalReply": "Away."})
    return path


async def looked_up(context: Context, path: bytes, user: bytes = b"") -> bytes:
    """The value, after a greeting for anna."""
    conversation = Dict(context)
    assert await conversation.answer(HELLO) == b""
    answer = await conversation.answer(path + (b"\t" + user if user else b""))
    assert (answer[:1], answer[-1:]) == (b"O", b"\n")
    (value,) = split_fields(answer[1:-1])
    return value


async def test_scripts(context: Context, admin: Api, anna: str) -> None:
    """The ID leads to the script, also in the 2.4 form that names the user; a change has another ID at once."""
    name = await looked_up(context, NAME)
    script = await looked_up(context, DATA + name)
    assert script_id(script.decode()).encode() == name
    assert b"vacation" in script
    assert await looked_up(context, NAME, b"a@example.org") == name
    await admin.put(anna, {"internalReply": "Still away."})
    changed = await looked_up(context, NAME)
    assert changed != name
    # Dovecot asked for the ID just before the change: it must not keep the new text under the old ID.
    assert (await Dict(context).answer(DATA + name + b"\tanna@example.org"))[:1] == b"F"


@pytest.mark.parametrize("user", [b"bert@example.org", b"nobody@example.org", b"@", b"'", b"x" * 9000, b"a\x010b"])
async def test_nobody_away(context: Context, anna: str, user: bytes) -> None:
    """Without out of office, and for names that are none, the script says nothing: without any, mail would wait."""
    name = await looked_up(context, NAME, user)
    assert (await looked_up(context, DATA + name, user)).decode() == NOTHING


async def test_the_suspended_do_not_answer(context: Context, admin: Api, anna: str) -> None:
    """Nor do those whose out of office was turned off."""
    await admin.patch(anna.removesuffix("/oof"), {"status": 1})
    assert (await looked_up(context, NAME)).decode() == script_id(NOTHING)
    await admin.patch(anna.removesuffix("/oof"), {"status": 0})
    await admin.put(anna, {"state": 0})
    assert (await looked_up(context, NAME)).decode() == script_id(NOTHING)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"Lpriv/quota/storage", b"N\n"),
        (b"Lshared/x", b"N\n"),
        (b"L\xff", b"N\n"),
        (b"I0\t0\tpriv/", b"\n"),
        (b"B1\tanna@example.org", b""),
        (b"S1\tpriv/x\ty", b""),
        (b"C1", b"F1\tnothing can be written here\n"),
        (b"D1", b"F1\tnothing can be written here\n"),
        (b"R1", b""),
        (b"", b""),
        (b"?", b""),
        (b"H", b""),
    ],
)
async def test_other_requests(context: Context, request_: bytes, reply: bytes) -> None:
    """Nothing else is there, and nothing can be written."""
    conversation: Any = Dict(context)
    assert await conversation.answer(request_) == reply


async def test_internal_domains(context: Context, admin: Api, anna: str) -> None:
    """The domains of the organisation are internal, unless they are suspended; without one, only the user's own."""

    async def internal() -> str | None:
        script = (await looked_up(context, DATA + await looked_up(context, NAME))).decode()
        found = re.search(r'envelope :domain :is "from" (.*) {', script)
        return found and found[1]

    await admin.make_domain("example.net")
    assert await internal() == '["example.org"]'
    org = (await admin.post("/system/orgs", {"name": "Acme"}))["ID"]
    for domain in (1, 2):
        await admin.patch(f"/system/domains/{domain}", {"orgID": org})
    assert await internal() == '["example.org", "example.net"]'
    await admin.patch("/system/domains/2", {"domainStatus": 1})
    assert await internal() == '["example.org"]'


async def test_own_domain_comes_first(context: Context, admin: Api, anna: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many domains the organisation has: the user's own is internal."""
    monkeypatch.setattr(vacations, "_SELECT", vacations._SELECT.replace(f"LIMIT {vacations.MOST_DOMAINS}", "LIMIT 1"))
    org = (await admin.post("/system/orgs", {"name": "Acme"}))["ID"]
    await admin.make_domain("example.net")
    for domain in (1, 2):
        await admin.patch(f"/system/domains/{domain}", {"orgID": org})
    assert '"from" ["example.org"]' in (await looked_up(context, DATA + await looked_up(context, NAME))).decode()
