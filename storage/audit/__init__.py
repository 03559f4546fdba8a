"""The record of all changes: who changed what, when, and by what means. docs/audit.md describes it for people.

`tables` says what is recorded, `capture` notes each change on SQLite (PostgreSQL: its migration 0003), `record` turns
what a write has changed into rows, `rows` finds them, and `retention` deletes old ones.
"""
