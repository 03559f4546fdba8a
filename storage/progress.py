"""How long work tells how far it is."""

from collections.abc import Callable

#: Called with what is being done, and how much of how much is done. What it raises ends the work.
Report = Callable[[str, int, int], object]
