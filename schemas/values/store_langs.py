"""The languages a store can be made in: codes, and names in the languages themselves.

Each is a language that a territory uses officially, in the script that is usual there, by the Unicode CLDR as Babel
2.18 has it, under the licence beside this file. A file holds them, because that library needs a second and 100 MiB to
look them up.
"""

from functools import cache
from importlib.resources import files

import orjson


@cache
def store_langs() -> bytes:
    """The answer `{"data": [{"code", "name"}, ...]}` as JSON, by code."""
    _heading, *lines = files("postroom.schemas.values").joinpath("store_langs.tsv").read_text("utf-8").splitlines()
    pairs = [line.split("\t") for line in lines]
    return orjson.dumps({"data": [{"code": code, "name": name} for code, name in pairs]})
