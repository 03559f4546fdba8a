"""What goes on in another thread while something is measured."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.bench.servers import BrokenRunError


@contextmanager
def going_on(work: Callable[[threading.Event], object]) -> Iterator[None]:
    """Does the work for as long as the block takes: the work gets an event that is set then, and ends by itself.

    Raises BrokenRunError when the work did.
    """
    stop = threading.Event()
    failures: list[BrokenRunError] = []

    def go_on() -> None:
        try:
            work(stop)
        except BrokenRunError as error:
            failures.append(error)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]
