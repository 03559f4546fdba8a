"""What a store says of itself: all that `postroom doctor` examines in a database."""

from postroom.storage.checks.examine import examine
from postroom.storage.checks.findings import State
from postroom.storage.faults import DatabaseError


def complaints(database: str, key_file: str | None) -> list[str]:
    """What is wrong with a store, also while a service uses it."""
    try:
        findings = examine(database, key_file)
    except DatabaseError as error:
        return [f"it cannot be examined: {error}"]
    wrong = [each for each in findings if each.state is not State.OK]
    return [f"{each.message}: {', '.join(each.examples)}" for each in wrong]
