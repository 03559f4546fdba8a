"""Out of office, as Dovecot's own Sieve interpreter carries it out."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_string
from email.message import Message
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from postroom.app.mail.vacation import NOTHING, script_id, script_of
from postroom.app.transactions.oof import is_in_force
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


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        ("bert@example.org", "I am away."),
        ("bert@EXAMPLE.org", "I am away."),
        ("b@xn--mller-kva.example", "I am away."),
        ("else@example.net", "We are closed."),
        ("else@sub.example.org", "We are closed."),
    ],
)
def test_inside_and_outside(deliver: Deliver, sender: str, text: str) -> None:
    """People of the same organisation get one text, everybody else the other."""
    assert text_of(deliver(ALWAYS, sender)) == text


@pytest.mark.parametrize("audience", [0, 1])
def test_audience(deliver: Deliver, audience: int) -> None:
    """Others get nothing when nobody should, nor when only known contacts should: Sieve knows none."""
    vacation = ALWAYS._replace(external_audience=audience)
    assert deliver(vacation, "else@example.net") is None
    assert text_of(deliver(vacation)) == "I am away."


@pytest.mark.parametrize("text", [None, ""])
def test_no_text_no_reply(deliver: Deliver, text: str | None) -> None:
    """Nobody gets an invented or an empty reply; the other audience still gets its own."""
    assert deliver(ALWAYS._replace(internal_reply=text)) is None
    assert text_of(deliver(ALWAYS._replace(internal_reply=text), "else@example.net")) == "We are closed."


@pytest.mark.parametrize(
    ("sender", "more"),
    [
        ("anna@example.org", ""),
        ("a@xn--mller-kva.example", ""),
        ("bert@example.org", "List-Id: <l.example.org>\n"),
        ("bert@example.org", "List-Unsubscribe: <mailto:x@example.org>\n"),
        ("bert@example.org", "Precedence: bulk\n"),
        ("bert@example.org", "Precedence: list\n"),
        ("bert@example.org", "Auto-Submitted: auto-replied\n"),
        ("owner-list@example.net", ""),
        ("mailer-daemon@example.net", ""),
    ],
)
def test_never_answered(deliver: Deliver, sender: str, more: str) -> None:
    """Oneself, lists, bulk and automatic mail get no reply."""
    assert deliver(ALWAYS, sender, more=more) is None


def test_to_whom(deliver: Deliver) -> None:
    """Mail to an alias is answered; mail that names none of the addresses as recipient is not."""
    assert deliver(ALWAYS, to="a@xn--mller-kva.example") is not None
    assert deliver(ALWAYS, to="everybody@example.org", more="Bcc: x@example.org\n") is None


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-01-10 08:00:00", "2026-01-20 17:30:00"),
        ("2026-03-29 01:30:00", "2026-03-29 03:30:00"),
        ("2026-03-29 02:30:00", "2026-03-30 00:00:00"),
        ("2026-10-25 02:15:00", "2026-10-25 02:45:00"),
        ("2026-10-24 00:00:00", "2026-10-25 02:30:00"),
        ("2026-12-31 23:59:59", "2027-01-01 00:00:01"),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns"])
def test_window(deliver: Deliver, start: str, end: str, zone: str) -> None:
    """At every edge, to the second, also where the clock is turned, replies begin and end as the API says."""
    where, vacation = ZoneInfo(zone), ALWAYS._replace(state=2, start_time=start, end_time=end)
    edges = [datetime.fromisoformat(text).replace(tzinfo=where, fold=fold) for text in (start, end) for fold in (0, 1)]
    found = set()
    for edge in {each.astimezone(UTC) for each in edges}:
        for moment in (edge - timedelta(seconds=1), edge, edge + timedelta(seconds=1)):
            due = is_in_force(2, start, end, moment, where)
            found.add(due)
            assert (deliver(vacation, now=moment, zone=where) is not None) == due, moment
    assert found == {True, False}


def test_now(deliver: Deliver) -> None:
    """The machine's own time counts."""
    now = datetime.now(BERLIN).replace(tzinfo=None, microsecond=0)
    before, after = str(now - timedelta(hours=1)), str(now + timedelta(hours=1))
    assert deliver(ALWAYS._replace(state=2, start_time=before, end_time=after)) is not None
    assert deliver(ALWAYS._replace(state=2, start_time=after, end_time="2199-01-01 00:00:00")) is None


ODD = [
    '"; discard; #', "\\", '\\"', ".", "\r\n.\r\n", "text:\n.\n", "\u202eevil", "\U0001f600" * 50, "a\nb", "x" * 32_000,
    "${subject}", "/* */", "\x7f", "\u00fc" * 998, "%u %s", "From me\n\nFrom you",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_texts(deliver: Deliver, text: str) -> None:
    """Whatever the text is, it arrives as it is, and means nothing to Sieve."""
    reply = deliver(ALWAYS._replace(internal_reply=text, internal_subject=text.partition("\n")[0][:200]))
    assert text_of(reply) == "\n".join(text.splitlines())


@pytest.mark.parametrize(("subject", "shown"), [("", ""), ("Caf\u00e9 \U0001f600", "Caf\u00e9 \U0001f600")])
def test_subjects(deliver: Deliver, subject: str, shown: str) -> None:
    """An empty subject stays empty, and any script arrives."""
    reply = deliver(ALWAYS._replace(internal_subject=subject))
    assert reply is not None
    from email.header import decode_header, make_header

    assert str(make_header(decode_header(reply["Subject"] or ""))) == shown


def test_html(deliver: Deliver) -> None:
    """A text in HTML is sent as that, with a plain text for who has no HTML."""
    text = "<html><head><title>x</title></head><body><p>I am &lt;away&gt;.</p><p>Bye<br>Anna</p></body></html>"
    reply = deliver(ALWAYS._replace(internal_reply=text))
    assert reply is not None
    plain, html = (bytes(part.get_payload(decode=True)).decode() for part in reply.get_payload())  # type: ignore[union-attr]
    assert reply.get_content_type() == "multipart/alternative"
    assert plain.split() == ["I", "am", "<away>.", "Bye", "Anna"]
    assert html.strip() == text


def test_ids() -> None:
    """The ID of a script changes with whatever it says, and not from one look to the next."""
    texts = {
        script_of(each, BERLIN)
        for each in (None, ALWAYS, ALWAYS._replace(internal_reply="New"), ALWAYS._replace(addresses=["x@example.org"]))
    }
    assert len({script_id(text) for text in texts}) == len(texts) == 4
    html = ALWAYS._replace(internal_reply="<p>x")
    assert script_of(html, BERLIN) == script_of(html, BERLIN)
    assert script_of(None, BERLIN) == NOTHING
