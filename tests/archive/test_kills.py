"""SIGKILL of worker and beat at random moments: all jobs end, nothing is done twice.

On kombu's filesystem broker with SQLite, and on Redis with PostgreSQL, where Redis is killed too.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.archive.node_stand_in import NodeStandIn, serving
from tests.archive.running import Running, arrived, eventually
from tests.support.postgres import cluster
from tests.support.process_tree import command_line, tree
from tests.support.redis_server import redis_server

SOAK = bool(os.environ.get("PACS_TEST_SOAK"))
KILLS = 100 if SOAK else 6
STUDIES = 30 if SOAK else 10
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180 + 10 * KILLS)]
Kill = Callable[[Running], None]


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("PACS_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (repeat with PACS_TEST_SEED={seed})")
    return random.Random(seed)


@pytest.fixture(params=["embedded", "production"])
def running(request, tmp_path: Path) -> Iterator[tuple[Running, list[Kill]]]:
    """A running archive of each kind, and what of it can be killed."""
    with ExitStack() as stack:
        kills: list[Kill] = [worker, one_of_the_pool, beat]
        settings: dict[str, str] = {}
        if request.param == "production":
            database = stack.enter_context(cluster())
            redis = stack.enter_context(redis_server())
            settings["PACS_DATABASE_URL"] = database.create("archive")
            settings["PACS_BROKER_URL"] = redis.url
            kills.append(lambda running: (redis.kill(), redis.start()))
        node = stack.enter_context(serving(NodeStandIn("CT", tmp_path / "ct", tmp_path / "trust")))
        node.delay_s = 0.05
        archive = Running(node, tmp_path, **settings)
        stack.callback(archive.stop)
        eventually(archive.is_ready)
        yield archive, kills


def worker(running: Running) -> None:
    """Kill the worker with all of its pool."""
    for pid in running.leaders("celeryd"):
        os.killpg(pid, signal.SIGKILL)


def one_of_the_pool(running: Running) -> None:
    """Kill one process of the pool, as the kernel does where memory is short."""
    pool = [pid for pid in tree(running.process.pid) if "ForkPoolWorker" in command_line(pid)]
    for pid in pool[:1]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def beat(running: Running) -> None:
    """Kill beat."""
    for pid in running.leaders("celery beat"):
        os.killpg(pid, signal.SIGKILL)


def all_ended(running: Running) -> bool:
    return running.client.jobs_page(state="open", limit=1)["total"] == 0


def test_all_jobs_end_and_nothing_is_done_twice(running, chance):
    archive, kills = running
    node, studies = archive.node, [f"1.2.{number}" for number in range(STUDIES)]
    before = {study: arrived(node, study) for study in studies}
    harass(archive, kills, chance, KILLS // 2)
    eventually(lambda: all(archive.job("copy", "done", study) for study in studies), 120)
    some = studies[::2]
    for study in some:
        archive.client.request_job("evict", "CT", study)
    harass(archive, kills, chance, KILLS // 4)
    eventually(lambda: all(archive.job("evict", "done", study) for study in some), 120)
    for study in some:
        archive.client.request_job("recall", "CT", study)
    harass(archive, kills, chance, KILLS - KILLS // 2 - KILLS // 4)
    eventually(lambda: all(archive.job("recall", "done", study) for study in some), 120)
    eventually(lambda: all_ended(archive), 60)

    assert {study: node.online(study) for study in studies} == before
    assert archive.client.jobs(state="failed") == []
    for study in studies:
        (copy,) = archive.client.study(study)["copies"]
        assert copy["instances"] == 3 and copy["verified_at"] and not copy["problem"]
        assert len(archive.client.jobs(kind="copy", study=study)) == 1
    ended = [line["job"] for line in archive.client.audit_lines()["records"] if is_end(line)]
    assert len(ended) == len(set(ended)) == len(studies) + 2 * len(some)
    members = list((archive.data_dir / "vault").rglob("*.tar"))
    assert len(members) == len(studies)
    assert len(node.answers) == len(some)  # one plan for each, however often it was asked
    assert list((archive.data_dir / "staging").iterdir()) == []


def is_end(line: dict[str, Any]) -> bool:
    return line["kind"].startswith("job-")


def harass(running: Running, kills: list[Kill], chance: random.Random, times: int) -> None:
    """Kill something again and again, at moments that nobody can foresee."""
    for _ in range(times):
        time.sleep(chance.uniform(0.1, 1.5))
        chance.choice(kills)(running)
