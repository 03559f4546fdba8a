"""Synchronises many users with the directory, as a task."""

from collections.abc import Sequence

from postroom.app.directory.plan import Action
from postroom.app.services.context import Context
from postroom.app.services.ldap_sync_run import DONE, TO_DO, Options, Report, Run, ignore_progress
from postroom.app.services.ldap_targets import SyncTarget, Target, targets
from postroom.app.transactions.authority import Actor
from postroom.storage import tasks


async def start_sync(
    context: Context, sync_target: SyncTarget, options: Options, actor: Actor, report: Report = ignore_progress
) -> int:
    """Starts the sync as a task of the actor; returns its ID.

    The sync skips changes to the link or names of users with more permissions than the actor.

    Raises NotFoundError (domain, organisation), InvalidError (the domain is deleted), UnavailableError (no directory).
    """

    async def find() -> list[Target]:
        return await targets(context, sync_target, create=options.create, lang=options.lang)

    async def work(task_id: int) -> str:
        # Find them again: domains and configurations may have changed while the task was queued.
        return await sync(context, task_id, await find(), options, actor, report)

    # Errors in the request go into the response instead of a failed task.
    await find()
    asked = {
        "domainID": sync_target.domain_id,
        "orgID": sync_target.org_id,
        "import": options.create,
        "dryRun": options.dry_run,
    }
    params = {name: value for name, value in asked.items() if value is not None}
    return await context.tasks.start("ldapSync", params, actor, work)


async def sync(
    context: Context,
    task_id: int,
    found: Sequence[Target],
    options: Options,
    actor: Actor,
    report: Report = ignore_progress,
) -> str:
    """Syncs the targets of a task and returns a one-sentence summary; the task's items have the details. The actor is
    the user who started the task, or None for the command.

    Raises UnavailableError when a directory goes away (finished work stays), ConflictError when more users would be
    unlinked than the configured share, ForbiddenError when the actor has lost the permission.
    """
    runs = [Run(context, task_id, target, options, actor, report) for target in found]
    for run in runs:
        await run.run()
    counts = await tasks.select_counts(context.database, task_id)
    words = DONE | TO_DO if options.dry_run else DONE
    summary = ", ".join(f"{counts[action]} {words[action]}" for action in Action if counts.get(action))
    outcome = f"{'Dry run, nothing was changed' if options.dry_run else 'Done'}: {summary or 'there was nothing to do'}"
    return outcome if any(run.read for run in runs) else f"The directory has no entries. {outcome}"
