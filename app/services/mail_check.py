"""Explains what becomes of mail for an address: each step, where it ends, and who may send as the address.

It asks the same functions as a mail server does, so it cannot tell anything else.
"""

from collections import deque
from typing import Any, Final, NamedTuple

from postroom.app.services import mail, mail_replies
from postroom.app.services.context import Context
from postroom.schemas.addresses import domain_of
from postroom.schemas.values import domains, users
from postroom.schemas.values.text import fold
from postroom.storage.mail import Addressee, Mailbox

#: Most addresses that are looked at, as in Postfix (virtual_alias_expansion_limit).
MOST_STEPS: Final = 1000

#: Kinds of steps at which mail stays in a mailbox, and all at which it does not end in nothing.
_STAYS: Final = ("mailbox", "copy", "circle")
_GOES_ON: Final = (*_STAYS, "alias", "redirect", "contact", "detail", "outside")


class Step(NamedTuple):
    """What becomes of mail at one address. `targets` are looked at next."""

    address: str
    kind: str
    text: str
    targets: tuple[str, ...] = ()
    username: str | None = None


async def check(context: Context, address: str, sender: str | None, login: str | None) -> dict[str, Any]:
    """The whole explanation. `sender`: of the message; `login`: who wants to send as the sender, or as the address."""
    steps = await list_steps(context, address)
    names = dict.fromkeys(step.username for step in steps if step.kind in _STAYS and step.username is not None)
    first = next(step for step in steps if step.kind != "detail")
    return {
        "address": steps[0].address,
        "accepted": first.kind in _GOES_ON and first.kind != "outside",
        "steps": [step._asdict() for step in steps],
        "mailboxes": [await _describe(context, name, sender) for name in names],
        "outside": [step.address for step in steps if step.kind == "outside"],
        "failures": [step.address for step in steps if step.kind not in _GOES_ON],
        "senders": list(await _senders(context, steps[0].address)),
        "login": None if login is None else await _describe_login(context, login, sender or steps[0].address),
    }


async def list_steps(context: Context, address: str) -> list[Step]:
    """What becomes of mail at the address, and at each address to which it goes on from there."""
    steps: list[Step] = []
    waiting, seen = deque([address]), set()
    while waiting and len(steps) < MOST_STEPS:
        current = mail.normal_form(waiting.popleft())
        if fold(current) not in seen:
            seen.add(fold(current))
            steps.append(await _look(context, current))
            waiting += steps[-1].targets
    if waiting:
        steps.append(Step(waiting[0], "endless", f"More than {MOST_STEPS} addresses follow: Postfix gives up."))
    return steps


async def _look(context: Context, address: str) -> Step:
    found = await mail.find_addressee(context, address)
    if found is None:
        return await _unknown(context, address)
    targets = await mail.list_targets(context, address)
    kind, text = _kind(found, address, targets)
    return Step(address, kind, text, targets, found.username)


async def _unknown(context: Context, address: str) -> Step:
    if not mail.is_address(address):
        return Step(address, "invalid", "This is no address.")
    plain, detail = mail.without_detail(address)
    if detail and await mail.find_addressee(context, plain) is not None:
        return Step(address, "detail", f"Mail for {plain}, with the detail {detail}.", (plain,))
    domain = domain_of(address)
    status = await mail.find_domain_status(context, domain)
    if status is None:
        return Step(address, "outside", f"The domain {domain} is none of ours: the mail goes to its servers.")
    if status != domains.STATUS_ACTIVE:
        return Step(address, "domain", _domain_text(status))
    return Step(address, "unknown", "Nobody has this address.")


def _kind(found: Addressee, address: str, targets: tuple[str, ...]) -> tuple[str, str]:
    if found.domain_status != domains.STATUS_ACTIVE:
        return "domain", _domain_text(found.domain_status)
    if found.status == users.STATUS_CONTACT:
        if targets:
            return "contact", f"An address of the contact {found.username}: the mail is passed on to {targets[0]}."
        return "lost", f"An address of the contact {found.username}, whose own address leads to nobody."
    if not found.has_mailbox:
        return (
            "suspended",
            f"{found.username} is {'suspended' if found.status == users.STATUS_SUSPENDED else 'not active'}.",
        )
    if fold(address) != fold(found.username):
        return "alias", f"An alias of {found.username}."
    mailbox = "shared mailbox" if found.status == users.STATUS_SHARED else "mailbox"
    if found.destination is None:
        return "mailbox", f"The mail stays in this {mailbox}."
    if found.leaves_for is None:
        return "copy", f"The mail stays in this {mailbox}, and a copy goes to {found.destination}."
    if targets == (found.username,):
        return "circle", f"The redirect to {found.destination} leads back here, so the mail stays in this {mailbox}."
    return "redirect", f"All mail is redirected to {found.destination}; this {mailbox} keeps none."


def _domain_text(status: int) -> str:
    return f"The domain is {'suspended' if status == domains.STATUS_SUSPENDED else 'deleted'}."


async def _describe(context: Context, username: str, sender: str | None) -> dict[str, Any]:
    mailbox = await mail.find_account(context, username)
    if mailbox is None:  # removed since
        return {"username": username, "folder": None, "quotaKiB": None, "outOfOffice": None}
    return {
        "username": username,
        "folder": mail.folder_of(mailbox),
        "quotaKiB": mailbox.limit,
        "outOfOffice": await mail_replies.explain(context, username, sender),
    }


async def _senders(context: Context, address: str) -> tuple[str, ...]:
    found = await mail.list_senders(context, address)
    plain, detail = mail.without_detail(address)
    return await mail.list_senders(context, plain) if detail and not found else found


async def _describe_login(context: Context, login: str, sender: str) -> dict[str, Any]:
    account = await mail.find_account(context, login)
    may_send, text = _may_send(account, sender, await _senders(context, sender))
    return {
        "login": login,
        "username": None if account is None else account.username,
        "sender": sender,
        "maySend": may_send,
        "text": text,
    }


def _may_send(account: Mailbox | None, sender: str, senders: tuple[str, ...]) -> tuple[bool, str]:
    if account is None:
        return False, "There is no mailbox of this name."
    name = account.username
    if account.status == users.STATUS_SHARED:
        return False, f"{name} is a shared mailbox: nobody logs in with its name."
    if not account.is_active or account.status != users.STATUS_NORMAL:
        return False, f"{name} or the domain is not active."
    if not account.smtp:
        return False, f"{name} may not log in to send (the privilege smtp)."
    if name not in senders:
        return False, f"{sender} is no address of {name}, and no grant lets {name} send as it."
    return True, f"{name} may send as {sender}."
