"""How requests to the servers of a directory end, for whoever counts them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from postroom.app.directory.faults import AwayError, RefusedError

#: Gets the URL of a server, the step (connect or request), how it ended, and how many seconds it took.
Note = Callable[[str, str, str, float], object]

CONNECT: Final = "connect"
REQUEST: Final = "request"


def note_nothing(_server: str, _step: str, _outcome: str, _seconds: float) -> None:
    """For those whom nobody watches."""


@contextmanager
def noted(note: Note, server: str, step: str) -> Iterator[None]:
    """Notes how the block ends, unless somebody gives it up."""
    began, outcome = time.monotonic(), "ok"
    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        outcome = ""
        raise
    except RefusedError:
        outcome = "refused"
        raise
    except (AwayError, TimeoutError):
        outcome = "away"
        raise
    except BaseException:
        outcome = "fault"
        raise
    finally:
        if outcome:
            note(server, step, outcome, time.monotonic() - began)
