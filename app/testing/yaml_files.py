"""YAML with the lines of what it says. Needs PyYAML, from the extra `testing`."""

from pathlib import Path
from typing import Any

import yaml

from postroom.testing.errors import SeedError
from postroom.testing.places import Place


class _Loader(yaml.SafeLoader):
    """Times stay text, as in the API."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def parse(path: Path, text: str) -> tuple[Any, dict[Place, int]]:
    """What a file says, and the line of each place in it. Raises SeedError."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        lines: dict[Place, int] = {}
        _walk(path, node, (), lines)
        return loader.construct_document(node), lines
    except yaml.YAMLError as error:
        raise SeedError(f"The seed {path} is no YAML: {error}") from None
    finally:
        loader.dispose()


def lines_of_json(path: Path, text: str) -> dict[Place, int]:
    """The lines of a text that is JSON; of the few that are no YAML (with tabs) none."""
    try:
        _, lines = parse(path, text)
    except SeedError:
        return {}
    return lines


def _walk(path: Path, node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _walk(path, item, (*place, number), lines)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            line = key.start_mark.line + 1
            if inner in lines:
                # YAML itself would take the last one, without a word.
                raise SeedError(f"{path}, line {line}: {key.value} is given twice")
            lines[inner] = line
            _walk(path, value, inner, lines)
