"""Limits of the fields of a role."""

from typing import Final

#: In characters.
LONGEST_NAME: Final = 32
LONGEST_DESCRIPTION: Final = 256
