"""The two descriptions of the API, and the check of requests and responses against them."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from postroom.app.openapi.document import build
from postroom.app.routes import BASE, ROUTES
from postroom.testing.description import JSON, METHODS, Breach, Description

__all__ = ["JSON", "METHODS", "REFERENCE", "Breach", "Description", "matches", "own", "reference"]

REFERENCE: Final = Path(__file__).parents[1] / "data" / "reference_openapi.yaml"


@cache
def reference() -> Description:
    """The public description, from which clients were generated."""
    return Description(yaml.load(REFERENCE.read_text("utf-8"), yaml.CSafeLoader))


@cache
def own() -> Description:
    """The description that postroom serves."""
    return Description(json.loads(build(BASE, ROUTES)))


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text."""
    return re.fullmatch(pattern, text) is not None
