"""Versions of what a client has read, so that a change can be refused when somebody else was faster."""

import hashlib

from postroom.app.errors import PreconditionFailedError

ANY = "*"

#: What a client says it has read: ETags of If-Match, or None when it does not care.
Expected = frozenset[str] | None


def etag(document: bytes) -> str:
    """The version of a document: two documents have the same one exactly when they are equal."""
    return hashlib.blake2b(document, digest_size=12).hexdigest()


def check_match(allowed: Expected, document: bytes) -> None:
    """Raises PreconditionFailedError when the document, as it is stored now, is none that the client has read."""
    if allowed is not None and ANY not in allowed and etag(document) not in allowed:
        raise PreconditionFailedError("Somebody else has changed this meanwhile: read it again, then change it")
