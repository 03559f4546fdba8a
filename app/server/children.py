"""Work in a process of its own."""

import json
import logging
import os
from collections.abc import Callable
from typing import Any

from postroom.app.server.binding import StartError


def in_child(function: Callable[[], tuple[str | None, str]]) -> tuple[str | None, str]:
    """What a function returns in a process of its own, which leaves no thread behind here. Raises StartError."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reads)
            try:
                said: dict[str, Any] = {"done": function()}
            except Exception as error:  # noqa: BLE001 - it is told by the process that waits
                said = {"error": str(error)}
            with os.fdopen(writes, "w", encoding="utf-8") as pipe:
                json.dump(said, pipe)
            code = 0
        finally:
            logging.shutdown()
            os._exit(code)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    answer = json.loads(told or '{"error": "The database could not be brought up to date"}')
    if "error" in answer:
        raise StartError(answer["error"])
    first_password, engine = answer["done"]
    return first_password, engine
