"""Where the texts of settings come from: options, the environment, a settings file.

The file is TOML and flat: `POSTROOM_LDAP_TIMEOUT` is `ldap_timeout` there.
"""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, get_origin

from postroom.app import settings

PREFIX: Final = "POSTROOM_"
#: Read when no other file is named, if it exists.
USUAL_FILE: Final = "/etc/postroom/postroom.toml"
#: In the environment, the file to read.
FILE_VARIABLE: Final = "POSTROOM_CONFIG"
#: Settings that hold a secret, and those that may be URLs with a password.
SECRETS: Final = frozenset({"admin_password"})
_URLS: Final = frozenset({"database", "database_replicas"})
_NUMBERS: Final = (int, int | None, float)
#: Far more than all settings need.
_MAX_SIZE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a setting, where it comes from (option, environment, file), and how a message names it."""

    text: str
    source: str
    label: str


@dataclass(slots=True)
class Texts:
    """What a source says: the texts by the name of their setting, and one line for whatever cannot be used."""

    texts: dict[str, Text] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def of_options(options: Mapping[str, object]) -> Texts:
    """Options by the name of their setting; None or empty: not given."""
    found = {
        name: Text(str(value), "option", f"--{name.replace('_', '-')}")
        for name, value in options.items()
        if value is not None and (value != "" or name == "database")
    }
    if "database" in found and "://" not in found["database"].text:
        # The replicas in the settings are those of another database.
        found.setdefault("database_replicas", Text("", "option", "--database"))
    return Texts(found)


def of_environment(environ: Mapping[str, str], names: Iterable[str]) -> Texts:
    """Variables; an empty one counts as not set."""
    variables = {name: PREFIX + name.upper() for name in names}
    return Texts({
        name: Text(environ[variable], "environment", variable)
        for name, variable in variables.items()
        # An empty name of a database is more likely a mistake than the wish for the default.
        if environ.get(variable) or (name == "database" and variable in environ)
    })  # fmt: skip


def file_of(given: str | None, environ: Mapping[str, str]) -> str | None:
    """The settings file: the given one, that of the environment, or the usual one if it exists."""
    # Without the right to look into its folder nobody knows whether the usual file exists, and it must not be missed.
    return given or environ.get(FILE_VARIABLE) or (USUAL_FILE if _may_exist(USUAL_FILE) else None)


def _may_exist(path: str) -> bool:
    try:
        Path(path).stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def of_file(path: str, kinds: Mapping[str, object]) -> Texts:
    """A settings file; `kinds`: setting -> its type."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - also a device such as /dev/null
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_MAX_SIZE + 1).decode("utf-8-sig")
        if len(text) > _MAX_SIZE:
            return Texts(faults=[f"{path}: larger than a megabyte, so this is no settings file"])
        # TOML itself takes only one of the three ends of lines that editors write.
        values = tomllib.loads(text.replace("\r\n", "\n"))
    except OSError as error:
        return Texts(faults=[f"{path}: {error.strerror}"])
    except UnicodeDecodeError:
        return Texts(faults=[f"{path}: not in UTF-8"])
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a value that nobody can need"
        return Texts(faults=[f"{path}: not TOML: {reason}"])
    found = Texts()
    for name, value in values.items():
        place = f"{name} in {path}{_line(text, name)}"
        fault = _fault(name, value, kinds)
        if fault is None:
            found.texts[name] = Text(_text(name, value, kinds[name]) or "", "file", place)
        else:
            found.faults.append(f"{place}: {fault}")
    found.faults += _exposed(path, mode, found.texts)
    return found


def merged(*found: Texts) -> Texts:
    """Several sources, of which a later one takes precedence.

    `database_file` names a file with the text of `database`; one of the two replaces both of an earlier source.
    """
    whole = Texts(faults=[fault for each in found for fault in each.faults])
    for each in found:
        both = [each.texts[name] for name in ("database", "database_file") if name in each.texts]
        if len(both) > 1:
            whole.faults.append(f"{both[1].label}: {both[0].label} is set as well; set one of them")
        if both:
            whole.texts.pop("database_file", None)
        whole.texts |= each.texts
    if (named := whole.texts.pop("database_file", None)) is not None:
        try:
            whole.texts["database"] = replace(named, text=settings.first_line(named.text))
        except ValueError as error:
            whole.faults.append(f"{named.label}: {error}")
    return whole


def _nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean ...?` for a name that is none of these; empty if no name is like it."""
    close = difflib.get_close_matches(name.lower(), list(names), 1)
    return f"; did you mean {close[0]}?" if close else ""


def is_secret(name: str, text: str) -> bool:
    """Whether the text of this setting must not be shown."""
    return name in SECRETS or (name in _URLS and any(settings.has_password(each) for each in text.split()))


def _line(text: str, name: str) -> str:
    """`, line 3`; nothing where the name is written in a way that is not found."""
    found = re.search(rf"""^[ \t]*(\[+[ \t]*)?["']?{re.escape(name)}["']?[ \t]*[\].=]""", text, re.MULTILINE)
    return f", line {text.count(chr(10), 0, found.start()) + 1}" if found else ""


def _fault(name: str, value: object, kinds: Mapping[str, object]) -> str | None:
    """Why this is not the value of a setting, or None."""
    if isinstance(value, dict):
        parts = [f"{name}_{key}" for key in value if f"{name}_{key}" in kinds]
        return "there are no sections" + (f"; write {parts[0]} = ..." if parts else "")
    if name not in kinds:
        return f"there is no such setting{_nearest(name.lower().removeprefix(PREFIX.lower()), kinds)}"
    if value == "":
        return "empty; leave the line out for the default"
    if _text(name, value, kinds[name]) is None:
        return f"write {_form(kinds[name])}"
    return None


def _text(name: str, value: object, kind: object) -> str | None:
    """The value as the environment would have it; None: it is of another kind."""
    if kind is bool:
        return str(value).lower() if isinstance(value, bool) else None
    if kind in _NUMBERS:
        # bool is an int, too.
        return str(value) if type(value) is int or (type(value) is float and kind is float) else None
    if isinstance(value, str):
        return value
    if _is_list(kind) and isinstance(value, list) and all(isinstance(each, str) and each for each in value):
        # Commas are allowed in URLs, so a list of them is split at spaces.
        return (" " if name in _URLS else ",").join(value)
    return None


def _form(kind: object) -> str:
    if kind is bool:
        return "true or false, without quotes"
    if kind in _NUMBERS:
        return f"a {'' if kind is float else 'whole '}number, without quotes"
    return 'a list of texts, such as ["one", "two"]' if _is_list(kind) else "a text, in quotes"


def _is_list(kind: object) -> bool:
    return get_origin(kind) in (tuple, frozenset)


def _exposed(path: str, mode: int, texts: Mapping[str, Text]) -> list[str]:
    """What is wrong with the rights to the file. Whoever can change it could name another database."""
    if not stat.S_ISREG(mode):
        return []
    advice = "it may be readable by its owner and a group: chmod 640"
    if mode & stat.S_IWOTH:
        return [f"{path}: everybody may change it (mode {mode & 0o777:04o}); {advice}"]
    secrets = [name for name, each in texts.items() if is_secret(name, each.text)]
    if secrets and mode & stat.S_IROTH:
        return [f"{path}: everybody may read it (mode {mode & 0o777:04o}), and {secrets[0]} is a secret; {advice}"]
    return []
