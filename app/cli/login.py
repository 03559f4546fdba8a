"""The commands `postroom login` and `postroom logout`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.app.cli import output, places, work
from postroom.app.cli.codes import CODES

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

LOGIN_HELP = f"""Log in at a service. Commands work there from then on, unless options or the environment say otherwise.

The login is kept in a file that only you can read, until `postroom logout` or until it ends by itself. Your password is
not kept.

\b
Examples:
  postroom login https://mail.example.org
  postroom login https://mail.example.org --user anna@example.org --password-stdin <password.txt
  postroom login https://mail.example.org --token-stdin <token.txt     a token for programs
{CODES}"""

LOGOUT_HELP = f"""End the login of `postroom login`, and forget it.

\b
Examples:
  postroom logout
{CODES}"""


def login(
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False)],
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Whose login.")] = "admin",
    password_stdin: work.PasswordStdin = False,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Take a token for programs instead.")] = False,
    json: output.Json = False,
) -> None:
    """Logs in."""
    try:
        base = places.api_of(url)
    except places.PlaceError as error:
        output.fail(str(error), output.REFUSED, json=json)
    job = work.Job(places.Remote(base, ""), json=json)
    if places.is_readable_on_the_way(base):
        job.note(places.READABLE)
    if password_stdin and token_stdin:
        job.fail("Give --password-stdin or --token-stdin, not both")
    prompt = f"Password of {user}"
    given = job.password(from_input=password_stdin or token_stdin, prompt=prompt, twice=False)

    async def do(api: "Api") -> None:
        token = given
        if not token_stdin:
            token = (await api.post("/login", {"user": user, "pass": given}))["grommunioAuthJwt"]
        api.use(token)
        name = (await api.get("/profile"))["user"]["username"]
        places.write_login(places.Remote(base, token))
        job.tell(f"{name} is logged in {job.place}", {"username": name, "url": base})

    job.run(do)


def logout(json: output.Json = False) -> None:
    """Logs out."""
    try:
        stored = places.read_login()
    except places.PlaceError as error:
        output.fail(str(error), output.REFUSED, json=json)
    if stored is None:
        output.fail("There is no login", output.REFUSED, json=json)
    places.forget_login()
    job = work.Job(stored, json=json)

    async def do(api: "Api") -> None:
        from postroom.app.cli.api import RefusedError

        try:
            sessions: list[dict[str, Any]] = (await api.get("/sessions"))["data"]
            for each in sessions:
                if each["current"]:
                    await api.delete(f"/sessions/{each['ID']}")
        except RefusedError as error:
            if error.status not in (401, 403):  # it has ended already, or is a token for programs, which lives on
                raise
        job.tell(f"The login {job.place} is forgotten")

    job.run(do)
