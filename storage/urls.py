"""What names a database: a file, or the URL of one on a server."""


def is_url(database: str) -> bool:
    """Whether this names a database on a server, and not a file."""
    return "://" in database


def shown(database: str) -> str:
    """The name for people: of a URL without the password and the parameters, which may hold one, too."""
    if not is_url(database):
        return database
    scheme, _, rest = database.partition("://")
    whole, _, parameters = rest.partition("?")
    user, at, place = whole.rpartition("@")
    if not at and "@" in parameters:
        # What stands before the question mark may be a user and half of a password.
        return f"{scheme}://..."
    return f"{scheme}://{user.partition(':')[0]}{at}{place}"
