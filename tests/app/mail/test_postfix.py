"""Real look-ups by Postfix, directly and through its proxymap daemon."""

import os
import signal
from pathlib import Path

import pytest

from tests.app.test_workers import workers_of
from tests.support.mail_sockets import Admin, serving_mail
from tests.support.proxymap import lookups
from tests.support.waiting import until

pytestmark = [
    pytest.mark.mail,
    pytest.mark.skipif(os.getuid() != 0, reason="Postfix is started by root only"),
]

#: Keys that are nobody's, as far as a command line can carry them.
KEYS = (
    "anna@example.org@example.org", '"anna"@example.org', "%s@example.org", "' OR 1=1 --@example.org", "@", "anna",
    "anna@example.org\nbob@example.org", "x" * 321 + "@example.org", "y" * 100_000, "ännä@example.org",
)  # fmt: skip


async def test_postfix_asks(tmp_path: Path) -> None:
    """What is stored is found at once; what is no address is not found, without a warning; a worker that is killed
    makes Postfix wait; and when the database is gone, Postfix is told to ask again.
    """
    with (
        lookups() as postfix,
        serving_mail(
            tmp_path, POSTROOM_MAIL_SOCKETS=str(postfix.sockets), POSTROOM_MAIL_POSTFIX_GROUP="postfix"
        ) as running,
    ):
        async with Admin(running) as admin:
            domain = await admin.domain()
            assert postfix.ask("mailboxes", "anna@example.org") == (1, "", "")
            await admin.user(domain, "anna", aliases=["a@example.org"])
            for proxy in (True, False):
                assert postfix.ask("domains", "example.org", proxy=proxy) == (0, "example.org", "")
                assert postfix.ask("mailboxes", "Anna+news@example.org", proxy=proxy) == (0, "anna@example.org", "")
                assert postfix.ask("aliases", "a@example.org", proxy=proxy) == (0, "anna@example.org", "")
                assert postfix.ask("senders", "a@example.org", proxy=proxy) == (0, "anna@example.org", "")
            for key in KEYS:
                assert postfix.ask("mailboxes", key, proxy=False) == (1, "", ""), key
            for key in KEYS[:6]:
                assert postfix.ask("senders", key) == (1, "", ""), key
            for _ in range(2):
                for pid in workers_of(running):
                    os.kill(pid, signal.SIGKILL)
                assert postfix.ask("mailboxes", "anna@example.org") == (0, "anna@example.org", "")
        assert "warning" not in postfix.log
        store = tmp_path / "postroom.sqlite3"
        store.rename(tmp_path / "elsewhere")
        # The service looks for its file once a second.
        await until(lambda: postfix.ask("mailboxes", "anna@example.org", proxy=False)[0] == 1)
        assert "no answer at the moment" in postfix.ask("mailboxes", "anna@example.org", proxy=False)[2]
        (tmp_path / "elsewhere").rename(store)
        await until(lambda: postfix.ask("mailboxes", "anna@example.org") == (0, "anna@example.org", ""))
