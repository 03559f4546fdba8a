"""Maps each constraint of the database to a rule of the API.

Transactions check the rules before they write, with better messages. This is a safety net for checks that they miss:
a violated constraint means invalid input, not a failed database.
"""

import re
from typing import Final

from postroom.storage.faults import IntegrityError

_NAME = ("username, aliases or altnames", "One of these names is in use already.")

#: SQLite's name of a constraint -> (field of the API, reason). Of several columns the first counts.
RULES: Final[dict[str, tuple[str, str]]] = {
    "addresses.key": _NAME,
    "users.username": ("username", "Is in use already."),
    "username is the altname of another user": ("username", "Is an altname of another user."),
    "altname is the username of another user": ("altnames", "One of them is the username of another user."),
    "users.ldap_id": ("ldapID", "The object is linked to another user of the domain already."),
    "orgs.key": ("name", "There is another organisation of this name."),
    "roles.key": ("name", "There is another role of this name."),
    "domains.domainname": ("domainname", "There is a domain of this name already."),
    "properties.user_id": ("properties", "A property is given twice."),
    "grants.user_id": ("addresses", "An address is given twice."),
    "store_access.user_id": ("usernames", "A user is given twice."),
    "user_roles.user_id": ("roles", "A role is given twice."),
    "api_tokens.hash": ("token or tokenHash", "There is this token already."),
}
_GONE = ("", "Something that this refers to has been removed meanwhile.")
_OTHER = ("", "A value is not one that can be stored.")

_UNIQUE = re.compile(r"UNIQUE constraint failed: ([^,]+)")


def rule_of(error: IntegrityError) -> tuple[str, str]:
    """(field, reason) of the rule behind a violated constraint; the field is "" if there is no single one."""
    text = str(error)
    if found := _UNIQUE.match(text):
        return RULES.get(found[1], _OTHER)
    if text.startswith("FOREIGN KEY"):
        return _GONE
    return RULES.get(text, _OTHER)
