"""A client of the API, in a project whose packages have the names that postroom's have in its repository."""

import json
import urllib.request
from typing import Any

from schemas import User


class Directory:
    """The users of domain 1."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = f"{url}/api/v1/domains/1/users"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def users(self) -> list[User]:
        """All of them."""
        return [User(each["ID"], each["username"]) for each in self._call("GET", self._url)["data"]]

    def rename(self, user: User, name: str) -> None:
        """Gives a user another name."""
        self._call("PATCH", f"{self._url}/{user.number}", {"username": name})

    def _call(self, method: str, url: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, self._headers, method=method)  # noqa: S310 - the test's own server
        with urllib.request.urlopen(request) as response:  # noqa: S310
            return json.load(response)
