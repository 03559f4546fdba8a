"""Versions of documents (ETags). They detect that somebody else has changed a document since the client read it."""

import hashlib

from postroom.app.errors import PreconditionFailedError

ANY = "*"

#: The versions that the client has read: the ETags of If-Match, or None without that header.
Expected = frozenset[str] | None


def etag(document: bytes) -> str:
    """The version of a document. Equal documents have the same version; different documents do not."""
    return hashlib.blake2b(document, digest_size=12).hexdigest()


def check_match(allowed: Expected, document: bytes) -> None:
    """Raises PreconditionFailedError unless the stored document is a version that the client has read."""
    if allowed is not None and ANY not in allowed and etag(document) not in allowed:
        raise PreconditionFailedError("Somebody else has changed this meanwhile: read it again, then change it")
