"""Tasks of another process."""

from postroom.app.services.tasks import node
from postroom.storage.tasks import Owner


def elsewhere(pid: int = 1) -> Owner:
    """A process of this machine; the first one is always there."""
    return Owner("another process", node(), pid)
