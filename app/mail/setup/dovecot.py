"""The files for Dovecot: its settings and the Lua that asks postroom."""

import grp
import pwd
from importlib.resources import files
from string import Template
from typing import Final

from postroom.app.mail.setup.places import Places

#: Dovecot's version -> its settings, and how its userdb spells a quota and one more namespace.
_QUOTAS: Final = {"2.3": ("quota_rule", "*:storage=KIBk"), "2.4": ("quota_storage_size", "KIBK")}


def settings(places: Places) -> str:
    """The text of the settings."""
    uid, gid = pwd.getpwnam(places.user).pw_uid, grp.getgrnam(places.group).gr_gid
    return Template(_text(f"dovecot-{places.version}.conf")).substitute(
        lua=str(places.lua), sockets=str(places.sockets), spool=str(places.spool), uid=str(uid), gid=str(gid)
    )


def script(places: Places) -> str:
    """The text of the Lua script."""
    text = _text("postroom.lua")
    quota, value = _QUOTAS[places.version]
    given = {
        "SOCKET": str(places.sockets / "dovecot"), "MAIL": str(places.mail), "USER": places.user,
        "GROUP": places.group, "QUOTA": quota, "QUOTA_VALUE": value,
    }  # fmt: skip
    for name, each in given.items():
        text = text.replace(f"@{name}@", each)
    return text


def _text(name: str) -> str:
    return (files("postroom.app.mail.setup") / name).read_text("utf-8")
