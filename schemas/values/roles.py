"""What the fields of a role may hold."""

from typing import Final

#: Characters.
LONGEST_NAME: Final = 32
LONGEST_DESCRIPTION: Final = 256
