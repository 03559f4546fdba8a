"""The time that rows keep as a number."""

import time


def unix_now() -> int:
    """This moment as UNIX time, in seconds."""
    return int(time.time())
