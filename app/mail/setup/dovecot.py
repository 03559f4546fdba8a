"""The files for Dovecot: its settings and the Lua that asks postroom."""

from importlib.resources import files
from string import Template

from postroom.app.mail.setup.places import Places


def settings(places: Places) -> str:
    """The text of the settings."""
    return _filled("dovecot-2.3.conf", lua=places.lua, dict=places.sockets / "dict", spool=places.spool)


def script(places: Places) -> str:
    """The text of the Lua script."""
    text = (files("postroom.app.mail.setup") / "postroom.lua").read_text("utf-8")
    given = {
        "SOCKET": str(places.sockets / "dovecot"), "MAIL": str(places.mail), "USER": places.user, "GROUP": places.group,
        "QUOTA": "quota_rule", "QUOTA_VALUE": "*:storage=KIBk",
    }  # fmt: skip
    for name, value in given.items():
        text = text.replace(f"@{name}@", value)
    return text


def _filled(name: str, **values: object) -> str:
    text = (files("postroom.app.mail.setup") / name).read_text("utf-8")
    return Template(text).substitute({key: str(value) for key, value in values.items()})
