"""Answers the questions of a mail server. Any text is a valid key; what is no address is not found.

Errors of the database are raised: a mail server has to be told that there is no answer now, not that nobody is there.
"""

from collections.abc import AsyncIterator
from typing import Final

from postroom.app.services.context import Context
from postroom.schemas.addresses import normalise_address, parse_domain
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import LONGEST_ADDRESS
from postroom.storage import mail
from postroom.storage.database import Database
from postroom.storage.mail import Addressee, Mailbox

REDIRECT: Final = 1
#: Redirects in a row that are followed. Postfix gives up after 1,000 (virtual_alias_recursion_limit).
MOST_REDIRECTS: Final = 100


async def has_domain(context: Context, domain: str) -> bool:
    """Whether mail of this domain is accepted, in any spelling."""
    try:
        name, _ = parse_domain(domain)
    except ValueError:
        return False
    return await mail.select_is_active(context.database, name)


async def find_mailbox(context: Context, address: str) -> str | None:
    """The username, if this is the username of somebody whose mail is delivered."""
    found = await _addressee(context.database, address)
    if found is None or not found.has_mailbox or _key(address) != fold(found.username):
        return None
    return found.username


async def list_targets(context: Context, address: str) -> tuple[str, ...]:
    """Where mail for an address goes instead of (or besides) a mailbox of that name; empty when it just stays there.

    Mail servers ask again for each target. So that this comes to an end, somebody whose redirects lead back to
    themselves keeps the mail.
    """
    found = await _addressee(context.database, address)
    if found is None:
        return ()
    if found.passed_on is not None:
        return (found.passed_on,)
    if not found.has_mailbox:
        return ()
    if _key(address) != fold(found.username):
        return (found.username,)
    if found.destination is None:
        return ()
    if found.forward_type != REDIRECT:
        return tuple(dict.fromkeys((found.username, found.destination)))
    circle = await list_circle(context, found)
    return (found.username,) if circle else (found.destination,)


async def list_circle(context: Context, start: Addressee) -> tuple[str, ...]:
    """The usernames through which redirects lead back to the user, beginning with theirs; empty if they do not."""
    passed = {start.id: start.username}
    current: Addressee | None = start
    while current is not None and len(passed) <= MOST_REDIRECTS:
        if current.destination is None or current.forward_type != REDIRECT or not current.has_mailbox:
            return ()
        current = await _addressee(context.database, current.destination)
        if current is not None and current.id == start.id:
            return tuple(passed.values())
        if current is not None and current.id in passed:
            return ()  # a circle of others, who keep the mail
        if current is not None:
            passed[current.id] = current.username
    return ()


async def list_senders(context: Context, address: str) -> tuple[str, ...]:
    """The usernames of all who may send as an address: whoever has it, their delegates and those who may send as."""
    key = _key(address)
    return () if key is None else tuple(await mail.select_senders(context.database, key))


async def find_account(context: Context, name: str) -> Mailbox | None:
    """The mailbox of an address or of a further login name, suspended ones included."""
    # A lone surrogate is no text that a database could look for.
    if len(name) > LONGEST_ADDRESS or "\0" in name or name.encode(errors="ignore").decode() != name:
        return None
    return await mail.select_mailbox(context.database, _key(name) or fold(name))


async def iterate_accounts(context: Context) -> AsyncIterator[str]:
    """The usernames of all mailboxes, suspended ones included."""
    last = 0
    while rows := await mail.select_mailboxes(context.database, last):
        for _, username in rows:
            yield username
        last = rows[-1][0]


def folder_of(mailbox: Mailbox) -> str:
    """The folder of a mailbox, relative to that of all mail.

    It is made of IDs, which are never given twice: so a renamed user keeps the mail, and no name becomes a path.
    """
    return f"{mailbox.domain_id}/{mailbox.id}"


async def _addressee(database: Database, address: str) -> Addressee | None:
    key = _key(address)
    return None if key is None else await mail.select_addressee(database, key)


def _key(address: str) -> str | None:
    if len(address) > LONGEST_ADDRESS:
        return None
    try:
        return fold(normalise_address(address))
    except ValueError:
        return None
