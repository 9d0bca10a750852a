"""What the workers run: thin tasks that carry an id or nothing at all."""

from archive_node import alarms
from archive_node.celery import DISPATCH_DUE, RUN_JOB, SCAN, SCRUB_DUE, TELL_ALARMS, TIDY, app
from archive_node.jobs import dispatch, mounts, moves, pruning, runner
from archive_node.policy import scan, scrubbing


@app.task(name=RUN_JOB)
def run_job(job_id: int) -> None:
    """Run the job whose turn it is; then see that the next ones are on their way.

    The id is that of the job which the message was sent for: another may have overtaken it.
    """
    if runner.run_next():
        dispatch.send_due(limit=2)


@app.task(name=DISPATCH_DUE)
def dispatch_due() -> None:
    """Send what is due, what has waited for its time, and what was left by a dead worker."""
    moves.wake_due()
    dispatch.send_due()


@app.task(name=SCAN)
def scan_nodes() -> None:
    """Ask every node what it has, and make the jobs that the rules want."""
    scan.scan_all()


@app.task(name=TIDY)
def tidy() -> None:
    """Remove the rows of jobs that ended long ago, and requests that nobody waits for."""
    pruning.prune()
    mounts.end_unwanted()


@app.task(name=TELL_ALARMS)
def tell_alarms() -> None:
    """Tell by mail and webhook which alarms began and ended."""
    alarms.tell_all()


@app.task(name=SCRUB_DUE)
def scrub_due() -> None:
    """Ask for the scrub of the volumes that were not read for longest."""
    scrubbing.request_due()
