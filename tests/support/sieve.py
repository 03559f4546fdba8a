"""Carries Sieve scripts out by Dovecot's own interpreter."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_string
from email.message import Message
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from postroom.app.mail.vacation import script_of
from postroom.storage.vacations import Vacation

BERLIN = ZoneInfo("Europe/Berlin")
ALWAYS = Vacation(
    "anna@example.org", 1, 2, None, None, "Away", "I am away.", "Out", "We are closed.",
    ["anna@example.org", "a@xn--mller-kva.example"], ["example.org", "xn--mller-kva.example"],
)  # fmt: skip
MAIL = "From: {sender}\nTo: {to}\nSubject: Hello\nMessage-ID: <1@x>\nX-Now: {now}\n{more}\nText.\n"

Deliver = Callable[..., Message | None]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the account which Dovecot runs as may enter."""
    with tempfile.TemporaryDirectory(prefix="postroom-sieve-") as name:
        shutil.chown(name, "nobody")
        yield Path(name)


@pytest.fixture
def deliver(folder: Path) -> Deliver:
    """Delivers a message at a time; the reply, or None."""
    config = folder / "dovecot.conf"
    config.write_text("mail_uid = nobody\nmail_gid = nogroup\nfirst_valid_uid = 1\nssl = no\nlog_path = /dev/stderr\n")

    def deliver(
        vacation: Vacation | None,
        sender: str = "bert@example.org",
        to: str = "anna@example.org",
        more: str = "",
        now: datetime | None = None,
        zone: ZoneInfo = BERLIN,
    ) -> Message | None:
        script = script_of(vacation, zone)
        if now is not None:
            # The interpreter asks the machine for the time; in a test, a header of the message tells it.
            script = re.sub(r'currentdate (.*?) "(date|time)" "', r'date \1 "X-Now" "\2" "', script)
        stamp = format_datetime(now or datetime.now(UTC))
        (folder / "script.sieve").write_text(script, newline="")
        (folder / "mail").write_text(MAIL.format(sender=sender, to=to, now=stamp, more=more))
        command = [
            "sieve-test", "-c", str(config), "-e", "-l", f"maildir:{folder}/Maildir",
            "-f", sender, "-r", "anna@example.org", "-a", to, "script.sieve", "mail",
        ]  # fmt: skip
        environ = {"HOME": str(folder), "USER": "root", "PATH": os.environ["PATH"]}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environ, check=False, timeout=60)
        assert (done.returncode, "rror" in done.stderr) == (0, False), done.stdout + done.stderr
        return _reply(done.stdout)

    return deliver


def _reply(output: str) -> Message | None:
    found = re.search(r"^(X-Sieve: .*?)^RECIPIENT: ", output, re.MULTILINE | re.DOTALL)
    return message_from_string(found[1]) if found else None


def text_of(reply: Message | None) -> str | None:
    """The text of a reply."""
    return None if reply is None else bytes(reply.get_payload(decode=True)).decode().replace("\r\n", "\n").rstrip("\n")
