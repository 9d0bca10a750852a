"""The rules of the archive over a catalogue of invented studies, without the nodes' answers."""

from __future__ import annotations

import statistics
import time
from datetime import datetime, timedelta
from typing import Any

from tests.benchmarks import rounds
from tests.benchmarks.measured import Measured


def measure_scan(studies: int, turns: int) -> list[Measured]:
    """Print how long the rules take over a catalogue in which nothing is left to do, and behind."""
    from django.utils import timezone

    from archive_node.models import Job
    from archive_node.policy import scan

    _invent(studies)
    disk = {"total_bytes": 10**13, "free_bytes": 9 * 10**12, "reserve_bytes": 0}
    times = []
    for _ in range(turns):
        began = time.perf_counter()
        scan.apply_rules("CT", disk, {}, timezone.now())
        times.append(time.perf_counter() - began)
    jobs = Job.objects.filter(kind="copy", state="queued").count()
    print(
        f"scan: the rules over {studies} studies: {statistics.median(times):.2f} s"
        f" (slowest {max(times):.2f} s), {jobs} copies asked for"
    )
    workload = f"the rules over {studies:,} studies"
    return [
        rounds.median(
            times, measure="archive", workload=workload, who="argens", unit="s",
            is_more_better=False,
        )
    ]  # fmt: skip


def _invent(studies: int) -> None:
    """Fill a catalogue: all quiet and proven, but for one in 100,000."""
    from django.db import transaction
    from django.utils import timezone

    from archive_node.models import NodeState, Proof, StudyFacts

    now = timezone.now()
    began = time.perf_counter()
    NodeState.objects.update_or_create(name="CT")
    for first in range(0, studies, 20_000):
        numbers = range(first, min(first + 20_000, studies))
        proofs = [
            Proof(node="CT", study_uid=f"1.9.{number}", vault="vault-1", revision=60)
            for number in numbers
            if number % 100_000
        ]
        with transaction.atomic():
            facts = [StudyFacts(**_invented(number, now)) for number in numbers]
            StudyFacts.objects.bulk_create(facts, batch_size=500)
            Proof.objects.bulk_create(proofs, batch_size=500)
    print(f"scan: {studies} studies invented in {time.perf_counter() - began:.0f} s", flush=True)


def _invented(number: int, now: datetime) -> dict[str, Any]:
    """Return the facts of one study."""
    used_at = now - timedelta(days=1 + number % 3000)
    return {
        "node": "CT",
        "study_uid": f"1.9.{number}",
        "patient_issuer": "FREJUS",
        "patient_id": str(number // 3),
        "modalities": "CT",
        "study_date": "20200101",
        "description": "Crâne sans injection",
        "instances": 60,
        "online": 60,
        "size_bytes": 30_000_000,
        "online_bytes": 30_000_000,
        "revision": 60,
        "last_arrival_at": used_at,
        "last_access_at": used_at,
        "digests_ready": True,
        "seen_at": now,
        "first_seen_at": used_at,
    }
