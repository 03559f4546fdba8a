"""Out of office, as Dovecot's own Sieve interpreter carries it out."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postroom.app.mail.vacation import NOTHING, script_id, script_of
from postroom.app.transactions.oof import is_in_force
from postroom.schemas.values.users import LONGEST_TEXT
from postroom.storage.vacations import MOST_DOMAINS
from tests.support.sieve import ALWAYS, BERLIN, Deliver, text_of

pytestmark = pytest.mark.mail


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
        ("bert@example.org", "Precedence: junk\n"),
        ("bert@example.org", "X-Auto-Response-Suppress: OOF\n"),
        ("anna+news@example.org", ""),
        ("bert@example.org", "Auto-Submitted: auto-replied\n"),
        ("owner-list@example.net", ""),
        ("mailer-daemon@example.net", ""),
    ],
)
def test_never_answered(deliver: Deliver, sender: str, more: str) -> None:
    """Oneself, lists, bulk and automatic mail get no reply."""
    assert deliver(ALWAYS, sender, more=more) is None


ODD_ADDRESSES = ["o'neil@example.org", "a!#$%&'*+-/=?^_`{|}~b@example.org", "a*b@example.org", "j\u00f6rg@example.org"]


def test_odd_addresses(deliver: Deliver) -> None:
    """No character of an address means anything to Sieve, and none that it cannot read makes it complain."""
    vacation = ALWAYS._replace(addresses=[*ALWAYS.addresses, *ODD_ADDRESSES])
    for address in ODD_ADDRESSES[:-1]:
        assert deliver(vacation, to=address) is not None
    assert deliver(vacation, "a*b+news@example.org") is None
    assert deliver(vacation, "axb+news@example.org") is not None


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


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/St_Johns"])
def test_the_longest_window(deliver: Deliver, zone: str) -> None:
    """The first and the last time that the API accepts are valid, though in UTC they may be in no year of Python."""
    vacation = ALWAYS._replace(state=2, start_time="0001-01-01 00:00:00", end_time="9999-12-31 23:59:59")
    assert deliver(vacation, zone=ZoneInfo(zone)) is not None


def test_now(deliver: Deliver) -> None:
    """The machine's own time counts."""
    now = datetime.now(BERLIN).replace(tzinfo=None, microsecond=0)
    before, after = str(now - timedelta(hours=1)), str(now + timedelta(hours=1))
    assert deliver(ALWAYS._replace(state=2, start_time=before, end_time=after)) is not None
    assert deliver(ALWAYS._replace(state=2, start_time=after, end_time="2199-01-01 00:00:00")) is None


def test_the_longest_script() -> None:
    """Whatever the API accepts makes a script that Dovecot takes (sieve_max_script_size)."""
    text = "<p>" + "\U0001f600" * (LONGEST_TEXT - 3)
    addresses = [f"{'*' * 64}@{'x' * 63}.{'y' * 63}.{'z' * 63}.{n:061}" for n in range(1001)]
    domains = [f"{n:04}{'.xn--bcher-kva' * 17}.example" for n in range(MOST_DOMAINS)]
    vacation = ALWAYS._replace(internal_reply=text, external_reply=text, addresses=addresses, domains=domains)
    assert len(script_of(vacation, BERLIN).encode()) < 4 * 1024**2


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
