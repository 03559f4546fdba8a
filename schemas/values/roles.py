"""What a role may hold, and the limits of its fields."""

from collections.abc import Mapping
from typing import Final

#: In characters.
LONGEST_NAME: Final = 32
LONGEST_DESCRIPTION: Final = 256

#: The permissions that a role can have, and the kind of object in their `params`.
PERMISSIONS: Final[Mapping[str, str | None]] = {
    "SystemAdmin": None,
    "SystemAdminRO": None,
    "OrgAdmin": "org",
    "DomainAdmin": "domain",
    "DomainAdminRO": "domain",
    "DomainPurge": "domain",
    "ResetPasswd": None,
}
