"""Explains whether a mailbox replies to a message because its user is out of office."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from postroom.app.services import mail
from postroom.app.services.context import Context
from postroom.app.transactions import oof
from postroom.schemas.addresses import domain_of
from postroom.schemas.oof import STATE_OFF
from postroom.storage.mail import Mailbox
from postroom.storage.oof import select_oof

#: Who gets a reply outside of the organisation.
_AUDIENCES: Final = ("nobody", "known senders", "everybody")
_EVERYBODY: Final = 2


async def explain(context: Context, mailbox: Mailbox, sender: str | None) -> dict[str, Any] | None:
    """Whether a reply is due now, and what it is: to this sender, or without one to colleagues. None: it is off."""
    document = await select_oof(context.database, mailbox.domain_id, mailbox.id)
    settings: dict[str, Any] = {"state": STATE_OFF} if document is None else orjson.loads(document)
    if settings["state"] == STATE_OFF:
        return None
    timezone = context.config.timezone
    start, end = settings.get("startTime"), settings.get("endTime")
    if not oof.is_in_force(settings["state"], start, end, context.clock.local(timezone), timezone):
        return _explained(None, settings, f"No replies now, but from {start} until {end}.")
    if sender is None:
        audience = _AUDIENCES[settings["externalAudience"]]
        return _explained("internal", settings, f"Colleagues get a reply, and {audience} outside.")
    if sender == "":
        return _explained(None, settings, "Nothing is replied to a message without a sender.")
    if domain_of(mail.normal_form(sender)) in await mail.list_internal_domains(context, mailbox.domain_id):
        return _explained("internal", settings, "A colleague gets a reply.")
    if settings["externalAudience"] == _EVERYBODY:
        return _explained("external", settings, "Everybody outside gets a reply.")
    return _explained(None, settings, f"Outside, {_AUDIENCES[settings['externalAudience']]} get a reply.")


def _explained(side: str | None, settings: Mapping[str, Any], text: str) -> dict[str, Any]:
    found = {"subject": settings.get(f"{side}Subject"), "reply": settings.get(f"{side}Reply")}
    if side is not None and not found["reply"]:
        return {"replies": False, "text": f"{text[:-1]}, but there is no text for it.", **found}
    return {"replies": side is not None, "text": text, **found}
