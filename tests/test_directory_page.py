"""docs/directory.md is true."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from postroom.app.cli import ldap, output
from postroom.app.directory.config import from_document
from postroom.schemas.ldap import TEMPLATE_NAMES, LdapConfigSchema

PAGE = (Path(__file__).parents[1] / "docs" / "directory.md").read_text("utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: document["users"]["templates"][-1])
def test_examples_are_configurations(document: dict[str, Any]) -> None:
    """Each example is a valid configuration with TLS."""
    config = from_document(LdapConfigSchema().load(document))
    assert config.starttls or all(server.tls for server in config.servers)


def test_every_template_has_an_example() -> None:
    """There is an example for each kind of directory."""
    assert {"common", *(document["users"]["templates"][-1] for document in EXAMPLES)} == set(TEMPLATE_NAMES)


def test_exit_codes() -> None:
    """The page and --help list exactly the exit codes of the command."""
    there = [getattr(output, name) for name in ("FINE", "NOTICED", "REFUSED", "AWAY", "BROKEN", "INTERRUPTED")]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == there
    assert [int(code) for code in re.findall(r"^  (\d+) ", ldap._CODES, re.MULTILINE)] == there
