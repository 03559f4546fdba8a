"""The commands `postroom task ...`."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from postroom.app.cli import output, tables, work
from postroom.app.cli.codes import CODES, EACH

if TYPE_CHECKING:
    from postroom.app.cli.api import Api

_HELP = """Show, cancel and delete tasks, such as updates from the directory.

\b
Examples:
  postroom task list
  postroom task show 7
  postroom task cancel 7
"""

_LIST_HELP = f"""List tasks, the latest first.

\b
Examples:
  postroom task list
  postroom task list --limit 5 --json
{CODES}"""

_SHOW_HELP = f"""Show a task, and what it has done of each user.

\b
Examples:
  postroom task show 7
  postroom task show 7 --json | jq '.data.params.result[] | select(.action == "skip")'
{CODES}"""

_CANCEL_HELP = f"""Cancel tasks that wait or run. The changes that they have made are kept.

\b
Examples:
  postroom task cancel 7
{EACH}"""

_DELETE_HELP = f"""Delete tasks that have ended, from the list. The changes that they have made are kept.

\b
Examples:
  postroom task delete 7
{EACH}"""

app = typer.Typer(name="task", no_args_is_help=True, rich_markup_mode=None, help=_HELP)

#: State in the API -> for people.
STATES: Final = {0: "waits", 1: "waits", 2: "runs", 3: "done", 4: "failed", 5: "cancelled"}

_Task = Annotated[int, typer.Argument(metavar="ID", min=1, help="Its ID, as `list` shows it.")]
_Tasks = Annotated[list[str], typer.Argument(metavar="ID...", min=1, help="IDs, as `list` shows them.")]


@app.command("list", help=_LIST_HELP)
def list_tasks(
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most tasks.")] = 50,
    json: output.Json = False,
    url: work.Url = None,
    database: output.Database = None,
) -> None:
    """Lists tasks."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        page = await api.get("/tasq/tasks", limit=limit, sort="ID,desc")
        rows = [
            (each["ID"], each["command"], STATES.get(each["state"]), each["created"], each["updated"], each["message"])
            for each in page["data"]
        ]
        job.show_page("tasks", page, ("ID", "TASK", "STATE", "CREATED", "CHANGED", "MESSAGE"), rows)

    job.run(do)


@app.command("show", help=_SHOW_HELP)
def show(task_id: _Task, json: output.Json = False, url: work.Url = None, database: output.Database = None) -> None:
    """Shows a task."""
    job = work.job_at(url, database, json=json)

    async def do(api: "Api") -> None:
        task = await api.get(f"/tasq/tasks/{task_id}")
        if job.json:
            job.tell(task["message"], task)
            return
        params = dict(task["params"])
        result = params.pop("result", [])
        tables.show_fields(
            {
                "ID": task["ID"],
                "Task": task["command"],
                "State": STATES.get(task["state"]),
                "Created": task["created"],
                "Changed": task["updated"],
                "Message": task["message"],
                **params,
            }
        )
        rows = [(each.get("username"), each.get("action"), each.get("message")) for each in result]
        tables.show_rows(("USER", "ACTION", "MESSAGE"), rows)

    job.run(do)


@app.command("cancel", help=_CANCEL_HELP)
def cancel(tasks: _Tasks, json: output.Json = False, url: work.Url = None, database: output.Database = None) -> None:
    """Cancels tasks."""
    _each(work.job_at(url, database, json=json), tasks, "POST", "/cancel")


@app.command("delete", help=_DELETE_HELP)
def delete(tasks: _Tasks, json: output.Json = False, url: work.Url = None, database: output.Database = None) -> None:
    """Deletes tasks."""
    _each(work.job_at(url, database, json=json), tasks, "DELETE", "")


def _each(job: work.Job, tasks: list[str], method: str, below: str) -> None:
    async def do(api: "Api", task_id: str) -> str:
        from postroom.app.cli import names

        answer: dict[str, str] = await api.ask(method, f"/tasq/tasks/{names.part(task_id)}{below}")
        return answer["message"]

    job.run_each(job.names(tasks), do)
