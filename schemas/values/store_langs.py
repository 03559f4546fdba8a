"""The languages of a store: codes, and names in the languages themselves.

They are the official languages of territories, each in the script that is usual there. The data is from the Unicode
CLDR in Babel 2.18, under the licence beside this file. It is in a file, because that library needs a second and 100 MiB
to look it up.
"""

from functools import cache
from importlib.resources import files

import orjson


@cache
def store_langs() -> bytes:
    """The response `{"data": [{"code", "name"}, ...]}` as JSON, sorted by code."""
    _heading, *lines = files("postroom.schemas.values").joinpath("store_langs.tsv").read_text("utf-8").splitlines()
    pairs = [line.split("\t") for line in lines]
    return orjson.dumps({"data": [{"code": code, "name": name} for code, name in pairs]})
