"""The settings as people may see them: as texts, without secrets, with where each comes from."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import time, timedelta
from typing import Any

from postroom.app.config import Config, ReadConfig, Setting
from postroom.storage.urls import shown as shown_url

_DEFAULTS = Config()


def rows(settings: Iterable[Setting]) -> list[dict[str, Any]]:
    """Name, value and source of each; a secret is not shown."""
    return [{"name": each.name, "value": _shown(each), "source": each.source} for each in settings]


def in_force(config: Config) -> list[Setting]:
    """All settings of a running service. What the program itself has chosen counts as an option."""
    read: Mapping[str, Setting] = {each.name: each for each in config.read} if isinstance(config, ReadConfig) else {}
    return [_in_force(config, each.name, read) for each in fields(Config)]


def _in_force(config: Config, name: str, read: Mapping[str, Setting]) -> Setting:
    value = getattr(config, name)
    known = read.get(name, Setting(name, getattr(_DEFAULTS, name)))
    return known if known.value == value else Setting(name, value, "option")


def _shown(setting: Setting) -> str:
    """The value as it would be written, unless it is a secret."""
    text = _text(setting.value) if setting.text is None else setting.text
    if not text or not setting.is_secret(text):
        return text
    return " ".join(map(shown_url, text.split())) if "://" in text else "(not shown)"


def _text(value: Any) -> str:
    """A value without a text of its own as it would be written; empty for none."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case timedelta():
            return f"{value // timedelta(hours=1)}h"
        case time():
            return f"{value:%H:%M}"
        case dict():
            return ",".join(f"{number}{unit}" for unit, number in value.items())
        case tuple() | frozenset():
            return ",".join(map(str, value))
    return str(value)
