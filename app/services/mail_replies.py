"""Explains whether a mailbox replies to a message because its user is out of office.

The script of the user (app/mail/vacation.py) does what is explained here.
"""

from typing import Any, Final

from postroom.app.services import mail
from postroom.app.services.context import Context
from postroom.app.services.vacations import find_vacation
from postroom.app.transactions import oof
from postroom.schemas.addresses import domain_of
from postroom.schemas.oof import AUDIENCE_EVERYBODY
from postroom.storage.vacations import Vacation

#: Who gets a reply outside of the organisation, by the number of the audience. A mail server cannot tell whom somebody
#: knows, so known senders get none.
_AUDIENCES: Final = ("nobody", "nobody (a mail server does not know who is known)", "everybody")


async def explain(context: Context, username: str, sender: str | None) -> dict[str, Any] | None:
    """Whether a reply is due now, and what it is: to this sender, or without one to colleagues. None: it is off."""
    vacation = await find_vacation(context, username)
    if vacation is None:
        return None
    timezone, start, end = context.config.timezone, vacation.start_time, vacation.end_time
    if not oof.is_in_force(vacation.state, start, end, context.clock.local(timezone), timezone):
        return _none(f"No replies now, but from {start} until {end}.")
    if sender == "":
        return _none("Nothing is replied to a message without a sender.")
    if sender is not None and _is_own(vacation, mail.normal_form(sender)):
        return _none("Nobody gets a reply to their own message.")
    audience = _AUDIENCES[vacation.external_audience]
    if sender is None:
        return _internal(vacation, f"Colleagues get a reply, and {audience} outside.")
    if domain_of(mail.normal_form(sender)) in vacation.domains:
        return _internal(vacation, "A colleague gets a reply.")
    if vacation.external_audience != AUDIENCE_EVERYBODY:
        return _none(f"Outside, {audience} gets a reply.")
    return _reply("Everybody outside gets a reply.", vacation.external_subject, vacation.external_reply)


def _is_own(vacation: Vacation, sender: str) -> bool:
    return sender in vacation.addresses or mail.without_detail(sender)[0] in vacation.addresses


def _internal(vacation: Vacation, text: str) -> dict[str, Any]:
    return _reply(text, vacation.internal_subject, vacation.internal_reply)


def _reply(text: str, subject: str | None, reply: str | None) -> dict[str, Any]:
    if not reply:
        return _none(f"{text[:-1]}, but there is no text for it.")
    return {"replies": True, "text": text, "subject": subject, "reply": reply}


def _none(text: str) -> dict[str, Any]:
    return {"replies": False, "text": text, "subject": None, "reply": None}
