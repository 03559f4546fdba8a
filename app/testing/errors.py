"""What the harness says to whoever writes a test."""


class HarnessError(Exception):
    """The harness is used in a way that cannot work; the text says what is wrong and what to do instead."""


class SeedError(HarnessError):
    """A seed cannot be planted; the text names the file, the line and the entry of each reason."""
