"""What the workers run: thin tasks that carry an id or nothing at all."""

from archive_node.celery import DISPATCH_DUE, RUN_JOB, SCAN, SCRUB_DUE, app
from archive_node.jobs import dispatch, runner
from archive_node.policy import scan, scrubbing


@app.task(name=RUN_JOB)
def run_job(job_id: int) -> None:
    """Run one job; then see that the oldest waiting ones are on their way."""
    if runner.run(job_id):
        dispatch.send_due(limit=2)


@app.task(name=DISPATCH_DUE)
def dispatch_due() -> None:
    """Send what is due or was left by a dead worker."""
    dispatch.send_due()


@app.task(name=SCAN)
def scan_nodes() -> None:
    """Ask every node what it has, and make the jobs that the rules want."""
    scan.scan_all()


@app.task(name=SCRUB_DUE)
def scrub_due() -> None:
    """Ask for the scrub of the volumes that were not read for longest."""
    scrubbing.request_due()
