"""Out of office as a Sieve script (RFC 5228, RFC 5230)."""

import hashlib
import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from postroom.app.transactions.oof import instants_between
from postroom.schemas.addresses import in_unicode
from postroom.schemas.oof import AUDIENCE_EVERYBODY, STATE_SCHEDULED
from postroom.schemas.values.text import printable
from postroom.storage.vacations import Vacation

#: For a mailbox without out of office. Pigeonhole defers mail when there is no script at all.
NOTHING: Final = "# No out of office.\n"
#: Days after which the same sender gets the reply again.
DAYS: Final = 7

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC) - _EPOCH
_LAST: Final = datetime.max.replace(microsecond=0, tzinfo=UTC) - _EPOCH
#: A text that begins with one of these is HTML. A name or an address in angle brackets is none.
_HTML: Final = re.compile(
    r"\s*<(?:!--|(?:!doctype|html|head|meta|title|style|link|body|center|div|section|p|span|pre|table|br|hr|img|a|font"
    r"|b|strong|i|em|u|small|blockquote|ul|ol|h[1-6])[\s/>])",
    re.IGNORECASE,
)
# What is not closed reaches to the end, as in a browser. Otherwise each beginning of it would be looked at to the end,
# and a text of nothing but beginnings would stop the service for seconds.
_LINE_ENDS: Final = re.compile(r"<(?:br|/p|/div|/tr|/li|/h[1-6])\b[^>]*(?:>|\Z)", re.IGNORECASE)
_UNSEEN: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1\s*>|\Z)|</?[a-z!?][^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL
)
#: Numbers of no character. Python refuses to read very long ones.
_NO_CHARACTER: Final = re.compile("&#[0-9]{8,};?")


def script_of(vacation: Vacation | None, timezone: tzinfo) -> str:
    """The script. It tests the time itself, so it is right at the second at which the window begins and ends."""
    if vacation is None:
        return NOTHING
    internal = _reply(vacation, vacation.internal_subject, vacation.internal_reply)
    # Sieve cannot tell whom somebody knows. So "known contacts" is answered like "nobody".
    external = None
    if vacation.external_audience == AUDIENCE_EVERYBODY:
        external = _reply(vacation, vacation.external_subject, vacation.external_reply)
    if internal is None and external is None:
        return NOTHING
    ours = f'envelope :domain :is "from" {_list(spellings(vacation.domains))}'
    # Pigeonhole knows oneself by the addresses, but not with a detail behind them.
    oneself = f'envelope :matches "from" {_list(map(_with_detail, _readable(vacation)))}'
    body = f"if {oneself} {{}}\nelsif {ours} {{\n{internal or ''}\n}} else {{\n{external or ''}\n}}"
    required = 'require ["date", "envelope", "relational", "vacation"];\n'
    if vacation.state != STATE_SCHEDULED:
        return f"{required}{body}\n"
    if vacation.start_time is None or vacation.end_time is None:
        return NOTHING
    first, last = instants_between(vacation.start_time, vacation.end_time, timezone)
    return f"{required}if allof({_since(first)},\n         not {_since(last)}) {{\n{body}\n}}\n"


def script_id(script: str) -> str:
    """Changes with the text, so that Dovecot notices, and keeps what it has compiled of the others."""
    return hashlib.sha256(script.encode()).hexdigest()[:32]


def spellings(names: Iterable[str]) -> list[str]:
    """Each domain or address in ASCII, and in Unicode where that differs."""
    found: dict[str, None] = {}
    for name in names:
        local, at, domain = name.rpartition("@")
        found[name] = found[f"{local}{at}{in_unicode(domain)}"] = None
    return list(found)


def _since(instant: timedelta) -> str:
    """The test whether it is this time (UTC) or later. Texts of equal length compare like times."""
    # Python counts leap seconds as little as Sieve does. In UTC, the longest window reaches beyond the years of Python.
    moment = _EPOCH + min(max(instant, _FIRST), _LAST)
    date, time = moment.date().isoformat(), moment.time().isoformat()
    zone = 'currentdate :zone "+0000"'
    return (
        f'anyof({zone} :value "gt" "date" "{date}",\n'
        f'          allof({zone} :is "date" "{date}", {zone} :value "ge" "time" "{time}"))'
    )


def _reply(vacation: Vacation, subject: str | None, text: str | None) -> str | None:
    if not text:
        return None
    body = _mime(text)
    handle = hashlib.sha256(repr((vacation.start_time, vacation.end_time, subject, text)).encode()).hexdigest()[:32]
    parts = [
        f"vacation :days {DAYS}",
        # Pigeonhole invents a subject in place of an empty one, but not of a space.
        "" if subject is None else f":subject {_quoted(printable(subject) or ' ')}",
        f":addresses {_list(_readable(vacation))}",
        f":handle {_quoted(handle)}",
        f":mime {_quoted(body)};",
    ]
    return "\n    ".join(part for part in parts if part)


def _readable(vacation: Vacation) -> list[str]:
    """The addresses that Pigeonhole can read; of any other it complains in the log at each delivery."""
    return [each for each in vacation.addresses if each.isascii()]


def _with_detail(address: str) -> str:
    """The pattern of this address with any detail."""
    local, _, domain = address.rpartition("@")
    return re.sub(r"[*?\\]", r"\\\g<0>", local) + f"+*@{domain}"


def _mime(text: str) -> str:
    """The reply as a MIME entity in ASCII alone, so that no character of it means anything to Sieve."""
    message = EmailMessage(policy=SMTP)
    if _HTML.match(text):
        message.set_content(_plain(text), cte="base64")
        message.add_alternative(text, subtype="html", cte="base64")
        message.set_boundary(f"postroom-{hashlib.sha256(text.encode()).hexdigest()[:32]}")
    else:
        message.set_content(text, cte="base64")
    del message["MIME-Version"]
    return message.as_bytes().decode("ascii")


def _plain(text: str) -> str:
    """What somebody reads who has no HTML."""
    seen = _UNSEEN.sub("", _LINE_ENDS.sub("\n", text))
    lines = html.unescape(_NO_CHARACTER.sub("\ufffd", seen)).splitlines()
    return "\n".join(line.strip() for line in lines).strip() + "\n"


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
