"""What names a database: a file, or the URL of one on a server."""

from urllib.parse import urlsplit


def is_url(database: str) -> bool:
    """Whether this names a database on a server, and not a file."""
    return "://" in database


def shown(database: str) -> str:
    """The name for people: of a URL without the password and the parameters, which may hold one, too."""
    if not is_url(database):
        return database
    parts = urlsplit(database)
    user, at, hosts = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user.partition(':')[0]}{at}{hosts}{parts.path}"
