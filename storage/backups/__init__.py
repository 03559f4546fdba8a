"""Backups: taking them while a service writes (`taking`), their folder (`folder`), restoring them (`restoring`)."""
