"""The time of this machine, for signs of life between processes. Everything else asks app/clock.py."""

import time


def unix_now() -> int:
    """This moment as UNIX time, in seconds."""
    return int(time.time())
