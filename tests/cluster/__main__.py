"""A PostgreSQL cluster with two nodes of postroom: `python -m tests.cluster`.

It runs until Ctrl+C; with `--kills` it kills servers and nodes under load instead, and counts what was lost.
"""

import time
from contextlib import ExitStack
from random import SystemRandom
from typing import Annotated

import typer

from tests.cluster.kills import run
from tests.cluster.nodes import Node
from tests.cluster.servers import Cluster, ClusterError, missing
from tests.support.service import ADMIN_PASSWORD


def main(
    *,
    kills: Annotated[int, typer.Option(help="How many servers and nodes to kill; 0 only runs the cluster.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Six kills.")] = False,
    seed: Annotated[int | None, typer.Option(help="Repeats the order of an earlier run.")] = None,
    seconds: Annotated[float, typer.Option(help="Begin no kill after so many.")] = 3600,
) -> None:
    """Starts a cluster."""
    if absent := missing():
        typer.echo(f"These Debian packages are missing: {' '.join(absent)}", err=True)
        raise typer.Exit(2)
    try:
        if kills or quick:
            chosen = SystemRandom().randrange(1_000_000) if seed is None else seed
            found = run(6 if quick else kills, chosen, seconds, typer.echo)
            typer.echo("\n".join(found.lines()))
            raise typer.Exit(bool(found.ledger.lost or found.ledger.lies))
        _serve()
    except ClusterError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _serve() -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        nodes = [stack.enter_context(Node(cluster.own, f"postroom{number}", cluster.url)) for number in (1, 2)]
        for member in cluster.members:
            typer.echo(
                f"PostgreSQL {member.name}: 127.0.0.1:{member.port}, Patroni: http://127.0.0.1:{member.api}/cluster"
            )
        typer.echo(f"PostgreSQL as postroom sees it: {cluster.url}")
        for node in nodes:
            typer.echo(f"postroom: {node.url} (admin, {ADMIN_PASSWORD!r}; log: {node.log})")
        typer.echo("Ctrl+C ends all of it")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            typer.echo("Ending")


if __name__ == "__main__":
    typer.run(main)
