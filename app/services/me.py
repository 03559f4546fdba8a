"""Shows a user what they are and what they may do."""

from typing import Any, Final

import orjson

from postroom.app.auth.tokens import Caller
from postroom.app.errors import UnauthenticatedError
from postroom.app.services.context import Context
from postroom.schemas.values.self_service import SUBJECTS
from postroom.storage.users import select_profile

_QUOTA: Final = ("storagequotalimit", "prohibitsendquota", "prohibitreceivequota")


async def describe(context: Context, caller: Caller) -> dict[str, Any]:
    """The response to GET /me. Raises UnauthenticatedError when the caller is gone."""
    found = await select_profile(context.database, caller.user_id)
    if found is None:
        raise UnauthenticatedError("Access denied", ["The login has been revoked"])
    user, timezone = orjson.loads(found), context.config.timezone
    mailbox, properties = caller.domain_id is not None, user["properties"]
    return {
        "ID": user["ID"],
        "username": user["username"],
        "displayname": properties.get("displayname"),
        "domainID": caller.domain_id,
        "mailbox": mailbox,
        "lang": user["lang"],
        "ldap": user["ldapID"] is not None,
        "aliases": user["aliases"],
        "altnames": [entry["altname"] for entry in user["altnames"]],
        "quota": {name: properties.get(name) for name in _QUOTA},
        "selfService": [subject for subject in SUBJECTS if mailbox and subject in caller.self_service],
        "capabilities": caller.grants.capabilities,
        "timezone": str(timezone),
        "now": context.now(),
    }
