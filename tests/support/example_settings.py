"""Writes app/example.toml, a settings file with all settings, from the table in docs/configuration.md.

.venv/bin/python -m tests.support.example_settings
"""

import re
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import get_origin

from postroom.app.config import Config

ROOT = Path(__file__).parents[2]
FILE = ROOT / "app" / "example.toml"

HEAD = """\
# The settings of postroom. Put those that you change into /etc/postroom/postroom.toml, or into a file that you name:
# postroom --config FILE COMMAND. A variable in the environment takes precedence: port is POSTROOM_PORT there.
# If the file holds a password, only its owner and a group may be able to read it: chmod 640.
# Lines with # in front show the defaults; without a value there is none.
"""


def values_of(config: Config) -> dict[str, object]:
    """The settings without where they come from."""
    return {each.name: getattr(config, each.name) for each in fields(Config)}


def write() -> None:
    """Writes the file anew."""
    FILE.write_text(example(), "utf-8")


def example() -> str:
    """The text of the file."""
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    rows = re.findall(r"^\| `POSTROOM_(\w+)` \| (.*?) \| (.*) \|$", text, re.MULTILINE)
    types = {each.name: each.type for each in fields(Config)}
    return HEAD + "".join(_block(name.lower(), default, meaning, types) for name, default, meaning in rows)


def _block(name: str, default: str, meaning: str, types: dict[str, object]) -> str:
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", meaning.replace("`", ""))
    plain = re.sub(r"POSTROOM_([A-Z_]+)", lambda found: found[1].lower(), plain)
    lines = textwrap.wrap(plain.replace(" (see below)", ""), 118)
    comment = "\n".join(f"# {line}" for line in lines)
    return f"\n{comment}\n#{name} ={_value(default, types.get(name, str))}\n"


def _value(default: str, kind: object) -> str:
    """The default as TOML would have it; nothing where there is none."""
    code = re.fullmatch(r"`([^`<]+)`", default)
    if code is None:
        return ""
    if get_origin(kind) in (tuple, frozenset):
        return " [" + ", ".join(f'"{each}"' for each in code[1].split(",")) + "]"
    return f" {code[1]}" if kind in (int, int | None, float, bool) else f' "{code[1]}"'


if __name__ == "__main__":
    write()
