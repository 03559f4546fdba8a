"""Answers the questions of a mail server. Any text is a valid key; what is no address is not found.

Errors of the database are raised: a mail server has to be told that there is no answer now, not that nobody is there.
"""

from collections.abc import AsyncIterator
from typing import Final

from postroom.app.services.context import Context
from postroom.schemas.addresses import normalise_address, parse_domain
from postroom.schemas.values.domains import STATUS_ACTIVE as DOMAIN_ACTIVE
from postroom.schemas.values.text import fold
from postroom.schemas.values.users import LONGEST_ADDRESS
from postroom.storage import mail
from postroom.storage.mail import Addressee, Mailbox

#: Redirects in a row that are followed. Postfix gives up after 1,000 (virtual_alias_recursion_limit).
MOST_REDIRECTS: Final = 100
#: What separates a name from a detail: mail for anna+news@example.org is for anna@example.org.
DELIMITER: Final = "+"


async def find_domain_status(context: Context, domain: str) -> int | None:
    """The status of a domain, in any spelling; None if it is none of ours."""
    try:
        name, _ = parse_domain(domain)
    except ValueError:
        return None
    return await mail.select_domain_status(context.database, name)


async def has_domain(context: Context, domain: str) -> bool:
    """Whether mail of this domain is accepted, in any spelling."""
    return await find_domain_status(context, domain) == DOMAIN_ACTIVE


async def find_addressee(context: Context, address: str) -> Addressee | None:
    """Whoever has this address as username or alias, whatever their status."""
    key = key_of(address)
    return None if key is None else await mail.select_addressee(context.database, key)


async def find_mailbox(context: Context, address: str) -> str | None:
    """The username, if this is the username of somebody whose mail is delivered."""
    found = await find_addressee(context, address)
    if found is None or not found.has_mailbox or key_of(address) != fold(found.username):
        return None
    return found.username


async def list_targets(context: Context, address: str) -> tuple[str, ...]:
    """Where mail for an address goes instead of (or besides) a mailbox of that name; empty when it just stays there.

    Mail servers ask again for each target. So that this comes to an end, somebody whose redirects lead back to
    themselves keeps the mail.
    """
    found = await find_addressee(context, address)
    if found is None:
        return ()
    if not found.has_mailbox:
        onward = _address(found.leaves_for)
        return () if onward is None or not await _reaches_somebody(context, found) else (onward,)
    if key_of(address) != fold(found.username):
        return (found.username,)
    if found.destination is None:
        return ()
    if found.leaves_for is None:
        return tuple(dict.fromkeys((found.username, found.destination)))
    return (found.username,) if await list_circle(context, found) else (found.destination,)


async def _reaches_somebody(context: Context, contact: Addressee) -> bool:
    """Whether mail for a contact comes to more than contacts who pass it on to each other."""
    circle = await list_circle(context, contact)
    return not circle or any(each.has_mailbox for each in circle)


async def list_circle(context: Context, start: Addressee) -> tuple[Addressee, ...]:
    """The users through whom redirects lead back to the first, beginning with that one; empty if they do not."""
    passed = {start.id: start}
    current = start
    while len(passed) <= MOST_REDIRECTS:
        onward = None if current.leaves_for is None else await _find_receiver(context, current.leaves_for)
        if onward is None:
            return ()
        if onward.id == start.id:
            return tuple(passed.values())
        if onward.id in passed:
            return ()  # a circle of others, who keep the mail
        current = passed[onward.id] = onward
    return ()


async def _find_receiver(context: Context, address: str) -> Addressee | None:
    """Whoever gets the mail of an address, which may have a detail."""
    found = await find_addressee(context, address)
    plain, detail = without_detail(address)
    return await find_addressee(context, plain) if found is None and detail else found


def without_detail(address: str) -> tuple[str, str]:
    """`anna+news@example.org` -> (`anna@example.org`, `+news`); the detail is empty where there is none."""
    local, at, domain = address.rpartition("@")
    name, delimiter, detail = local.partition(DELIMITER)
    return (f"{name}@{domain}", delimiter + detail) if at and name and delimiter else (address, "")


async def list_senders(context: Context, address: str) -> tuple[str, ...]:
    """The usernames of all who may send as an address: whoever has it, their delegates and those who may send as."""
    key = key_of(address)
    return () if key is None else tuple(await mail.select_senders(context.database, key))


async def find_account(context: Context, name: str) -> Mailbox | None:
    """The mailbox of an address or of a further login name, suspended ones included."""
    # A lone surrogate is no text that a database could look for.
    if len(name) > LONGEST_ADDRESS or "\0" in name or name.encode(errors="ignore").decode() != name:
        return None
    return await mail.select_mailbox(context.database, key_of(name) or fold(name))


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


def is_address(text: str) -> bool:
    """Whether this is an address, as far as its form goes."""
    return _address(text) is not None


def normal_form(text: str) -> str:
    """The normal form of an address; what is none stays as it is."""
    return _address(text) or text


def _address(text: str | None) -> str | None:
    """The normal form of an address; None: it is none."""
    if text is None or len(text) > LONGEST_ADDRESS:
        return None
    try:
        return normalise_address(text)
    except ValueError:
        return None


def key_of(address: str) -> str | None:
    """The form by which an address is looked up; None: it is no address."""
    normal = _address(address)
    return None if normal is None else fold(normal)
