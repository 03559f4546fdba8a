"""The postroom command."""

import atexit
import gc
import logging
import os
import sys
from typing import Annotated

import typer

from postroom.app.cli import (
    access,
    alias,
    audit,
    backup,
    config,
    configured,
    delegate,
    device,
    doctor,
    domain,
    export,
    import_,
    init,
    key,
    ldap,
    login,
    mail,
    migrate,
    move,
    oof,
    org,
    output,
    replicate,
    restore,
    role,
    task,
    token,
    user,
)
from postroom.app.cli import ephemeral as for_tests

_HELP = """Administers the mailbox users of mail domains over the grommunio Admin API.

\b
Examples:
  postroom init                make a settings file, and a database with a first domain
  postroom serve               start the service on 127.0.0.1:8080
  postroom serve --help        show the options
  postroom config --help       show the settings and where they come from, or an example of a settings file
  postroom user --help         create, show, change and delete users
  postroom domain --help       the same for mail domains, and with org and role for organisations and roles
  postroom alias --help        change the aliases of a user; also oof, delegate, access and device
  postroom task --help         show and cancel tasks
  postroom mail --help         explain what becomes of mail for an address
  postroom login --help        let the commands above work at a service that runs somewhere else
  postroom backup --help       take backups while the service runs, and look whether they can be restored
  postroom restore --help      put a backup in the place of the database
  postroom migrate --help      look at an upgrade of the database, or do it before the service starts
  postroom doctor              examine the database, its files and the machine
  postroom audit --help        show who has changed what
  postroom key --help          replace the key of the stored secrets
  postroom move --help         move everything into another database, also into PostgreSQL
  postroom export --help       write everything about people into files, or a seed for tests
  postroom import --help       store what such files have, or another installation
  postroom token --help        make and revoke tokens for programs
  postroom ldap --help         try the directory, compare, and update users from it

Every command reads the settings file /etc/postroom/postroom.toml if there is one; to use another:
postroom --config FILE COMMAND.
"""

app = typer.Typer(
    name="postroom",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=_HELP,
)
backup.app.command("replicate", help=replicate.HELP)(replicate.replicate)
app.add_typer(backup.app)
app.command("audit", help=audit.HELP)(audit.audit)
app.add_typer(config.app)
app.add_typer(key.app)
app.add_typer(ldap.app)
app.command("init", help=init.HELP)(init.init)
app.command("export", help=export.HELP)(export.export)
app.command("import", help=import_.HELP)(import_.import_)
app.command("migrate", help=migrate.HELP)(migrate.migrate)
app.command("doctor", help=doctor.HELP)(doctor.doctor)
app.add_typer(token.app)
for group in (user, domain, org, role, alias, oof, delegate, access, device, task, mail):
    app.add_typer(group.app)
app.command("login", help=login.LOGIN_HELP)(login.login)
app.command("logout", help=login.LOGOUT_HELP)(login.logout)
app.command("move", help=move.HELP)(move.move)
app.command("restore", help=restore.HELP)(restore.restore)

_SERVE_HELP = """Start the service.

Every setting can also be given as POSTROOM_<NAME> in the environment, or in a settings file: `postroom config example`
lists them all. Options take precedence over the environment, and that over the file.

\b
Examples:
  postroom serve
  postroom serve --port 8081 --database /var/lib/postroom/postroom.sqlite3
  postroom serve --workers 4
  postroom serve --config postroom.toml
  postroom serve --host 0.0.0.0 --port 8443 --tls-cert fullchain.pem --tls-key privkey.pem
  POSTROOM_ADMIN_PASSWORD=secret postroom serve --database :memory:
  postroom serve --ephemeral --port 0 --seed seed.yaml --ready-file ready.json
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"postroom {version('postroom')}")
        raise typer.Exit


@app.callback(help=_HELP)
def _postroom(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - the callback of the option does it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    config: configured.File = None,
) -> None:
    """Takes the options before a command, and tells the record of changes who runs it."""
    configured.use_file(config)
    name = context.invoked_subcommand
    if name not in ("serve", "audit", "config"):
        from postroom.app.cli.author import named

        context.with_resource(named(_path_of(context, sys.argv)))


def _path_of(context: typer.Context, arguments: list[str]) -> str:
    """The command without its arguments, which may hold secrets: `postroom ldap sync`."""
    path: list[str] = ["postroom"]
    commands = getattr(context.command, "commands", {})
    name = context.invoked_subcommand or ""
    after = arguments.index(name) + 1 if name in arguments else len(arguments)
    for word in (name, *arguments[after : after + 1]):
        if word in commands:
            path.append(word)
            commands = getattr(commands[word], "commands", {})
    return " ".join(path)


@app.command(help=_SERVE_HELP)
def serve(
    host: Annotated[str | None, typer.Option(help="Addresses to listen on, comma-separated [127.0.0.1,::1].")] = None,
    port: Annotated[str | None, typer.Option(help="Port to listen on; 0 takes a free one [8080].")] = None,
    database: Annotated[str | None, typer.Option(help="SQLite file, or :memory: [postroom.sqlite3].")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="PEM file of the certificate with its chain, for HTTPS.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM file of the certificate's key.")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes that serve together [1].")] = None,
    config: configured.File = None,
    ephemeral: for_tests.Ephemeral = False,
    seed: for_tests.Seed = None,
    ready_fd: for_tests.ReadyFd = None,
    ready_file: for_tests.ReadyFile = None,
    strict: for_tests.Strict = False,
    exit_with_stdin: for_tests.ExitWithStdin = False,
    allow_remote_control: for_tests.AllowRemoteControl = False,
) -> None:
    """Starts the service and runs until SIGINT or SIGTERM."""
    # Imported here, so that --help and wrong options respond at once.
    from postroom.app import logs
    from postroom.app.config import SettingError, wants_colours
    from postroom.app.server.binding import StartError
    from postroom.app.server.serve import run
    from postroom.app.server.systemd import of_this_process
    from postroom.storage.faults import DatabaseError

    _open_standard_streams()
    if config is not None:
        configured.use_file(config)
    settings = {
        "host": host,
        "port": port,
        "database": database,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "workers": workers,
    }
    given = {
        "seed": seed,
        "ready_fd": ready_fd,
        "ready_file": ready_file,
        "strict": strict,
        "exit_with_stdin": exit_with_stdin,
        "allow_remote_control": allow_remote_control,
    }
    if ephemeral:
        logs.set_up(logging.INFO, "console", coloured=wants_colours())
        for_tests.run(settings, given, _say)
        return
    for_tests.refuse_without(given)
    try:
        loaded = configured.load(settings)
    except SettingError as error:
        output.fail(str(error), output.REFUSED)
    logs.set_up(logging.INFO, loaded.log_format, coloured=wants_colours())
    try:
        systemd = of_this_process()
        # What mail servers ask must wait while a worker is replaced, so somebody has to keep the sockets.
        if loaded.workers > 1 or loaded.mail_sockets is not None or systemd.mail:
            from postroom.app.server.workers import run_workers

            raise typer.Exit(run_workers(loaded, _say, systemd))
        import uvloop

        uvloop.run(run(loaded, _say, systemd))
    except (StartError, DatabaseError) as error:
        output.fail(str(error), output.REFUSED)


def _open_standard_streams() -> None:
    """Opens what was closed at the start, on nothing: otherwise a socket or file would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - stays open


def _say(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def main() -> None:
    """The entry point of the command."""
    # At its end Python looks for garbage in everything that was imported, for a tenth of a second.
    atexit.register(gc.freeze)
    app()
