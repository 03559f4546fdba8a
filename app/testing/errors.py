"""What the harness says to whoever writes a test."""


class HarnessError(Exception):
    """The harness is used in a way that cannot work; the text says what is wrong and what to do instead."""
