"""`postroom mail check --live` beside a real Postfix and a real Dovecot that ask a running postroom."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Ran, ran
from tests.support.mail_servers import MailServers, mail_servers
from tests.support.mail_sockets import Admin, serving_mail

pytestmark = [
    pytest.mark.mail,
    pytest.mark.skipif(
        os.getuid() != 0 or not (shutil.which("dovecot") and shutil.which("postfix")),
        reason="Postfix and Dovecot are started by root only",
    ),
]
ADDRESSES = {"a+x@example.org": 0, "anna@example.org": 0, "hall@example.org": 0, "nobody@example.org": 1}


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder that the servers may enter."""
    with tempfile.TemporaryDirectory(prefix="postroom-live-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def test_real_servers(tmp_path: Path, sockets: Path) -> None:
    """They say what postroom says, for every kind of address; what somebody has configured besides is named."""
    settings = {
        "POSTROOM_MAIL_SOCKETS": str(sockets),
        "POSTROOM_MAIL_POSTFIX_GROUP": "postfix",
        "POSTROOM_MAIL_DOVECOT_GROUP": "dovecot",
    }
    with serving_mail(tmp_path, **settings) as running, mail_servers(sockets) as servers:

        async def check(address: str) -> Ran:
            return await asyncio.to_thread(_check, address, servers, tmp_path / "postroom.sqlite3")

        async with Admin(running) as admin:
            domain = await admin.domain()
            anna = await admin.user(domain, "anna", aliases=["a@example.org"])
            hall = await admin.user(domain, "hall", status=4)
            forward = {"forwardType": 0, "destination": "hall@example.org"}
            await admin.call("PATCH", anna, {"properties": {"storagequotalimit": 2048}, "forward": forward})
            await admin.call("PATCH", hall, {"forward": {"forwardType": 1, "destination": "x@example.net"}})
            await admin.call("PUT", f"{hall}/sendas", ["a@example.org"])
        for address, code in ADDRESSES.items():
            result = await check(address)
            assert (result.code, [each for each in result.data["live"] if not each["same"]]) == (code, []), address
            assert len(result.data["live"]) >= 4
        postconf = ("postconf", "-c", str(servers.places.postfix))
        maps = servers.run(*postconf, "-xh", "virtual_alias_maps")
        own = "inline:{ { a@example.org = else@example.net } }"
        assert servers.run(*postconf, "-e", f"virtual_alias_maps={own}, {maps.strip()}") == ""
        result = await check("a@example.org")
        assert result.code == 1
        (different,) = [each for each in result.data["live"] if not each["same"]]
        assert (different["expected"], different["answer"]) == ("anna@example.org", "else@example.net")


def _check(address: str, servers: MailServers, database: Path) -> Ran:
    places = servers.places
    where = ("--postfix", str(places.postfix), "--dovecot", str(places.dovecot / "dovecot.conf"))
    return ran("mail", "check", address, "--live", "--json", *where, environ={"POSTROOM_DATABASE": str(database)})
