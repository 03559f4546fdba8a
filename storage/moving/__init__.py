"""Moves everything from one database into an empty one, of either engine: `mover.move` begins."""
