"""The database goes away in mid-arrival: refused quickly, nothing lost, healed by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import OperationalError, connection

from dicom_node.index import rebuild, writer
from dicom_node.ingest.ingest import Outcome
from dicom_node.models import Instance
from pacs_common.errors import IndexUnavailable
from tests.node.objects import ct
from tests.support import postgres

pytestmark = pytest.mark.slow  # real peers, real waiting

TAKE_WHEN_TOLD = """
import sys
import django
django.setup()
from dicom_node.config import CONFIG
from dicom_node.index import checkpoint, rebuild
from dicom_node.index.writer import IndexWriter
from dicom_node.ingest.ingest import Arrival, Ingest
from dicom_node.models import Instance, Study
from dicom_node.store.layout import Layout
from pacs_common.errors import ArgensError
from tests.support.data_sets import EXPLICIT, ct, encoded
index = IndexWriter()
layout = Layout(CONFIG.data_dir)
ingest = Ingest(layout, index, 1 << 20)
KEYS = ("id", "series_id", "changed_at")
def snapshot():
    rows = [row for kind in (Instance, Study) for row in kind.objects.order_by("uid").values()]
    return [{k: v for k, v in row.items() if k not in KEYS} for row in rows]
for line in sys.stdin:
    verb, _, number = line.strip().partition(" ")
    try:
        if verb == "take":
            print(ingest.take(Arrival(encoded(ct(int(number))), EXPLICIT)).outcome, flush=True)
        elif verb == "stranger":
            ds = ct(int(number), PatientID="FR-9")
            print(ingest.take(Arrival(encoded(ds), EXPLICIT)).outcome, flush=True)
        elif verb == "keep":
            def asked_to_stop(wait_s):
                print("waits", flush=True)
                return sys.stdin.readline() == "stop\\n"
            checkpoint.keep(layout, asked_to_stop)
        elif verb == "rebuild":
            rebuild.catch_up(layout, "")
            before = snapshot()
            rebuild.rebuild(layout)
            print(snapshot() == before and bool(before), flush=True)
    except ArgensError as error:
        print(type(error).__name__, flush=True)
index.close()
"""


class Told:
    """A process that takes objects in when it is told to."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_WHEN_TOLD],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.process.stdout.readline().strip()


@pytest.fixture
def cluster():
    with postgres.cluster() as cluster:
        yield cluster


@pytest.fixture
def environment(cluster, tmp_path):
    data = tmp_path / "data"
    environment = os.environ | {
        "PACS_DATA_DIR": str(data),
        "PACS_DATABASE_URL": cluster.create("node"),
        "PYTHONPATH": os.getcwd(),
    }
    command = [sys.executable, "manage.py", "node", "migrate", "--verbosity", "0"]
    subprocess.run(command, env=environment, check=True)
    return environment


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "data" / "objects").rglob("*.*"))


def test_a_database_that_was_away_is_found_again_and_nothing_is_left_of_what_was_refused(
    cluster, environment, tmp_path
):
    told = Told(environment)
    with told.process:
        assert told.ask("take 1") == "stored"
        before = files(tmp_path)
        cluster.stop()
        assert told.ask("take 2") == "IndexUnavailable"
        assert told.ask("take 1") == "IndexUnavailable"
        assert files(tmp_path) == before
        cluster.start()
        assert told.ask("take 2") == "stored"
        assert told.ask("take 1") == "duplicate"
        cluster.stop("immediate")
        cluster.start()
        assert told.ask("take 3") == "stored"  # a lost connection alone costs no arrival
        assert told.ask("stranger 4") == "quarantined"
        assert told.ask("rebuild") == "True"
        told.process.stdin.close()


def test_what_a_crashed_database_forgot_is_found_again_without_a_restart(cluster, environment):
    taking, keeping = Told(environment), Told(environment)
    with taking.process, keeping.process:
        assert keeping.ask("keep") == "waits"
        assert keeping.ask("go on") == "waits"
        assert taking.ask("take 1") == "stored"
        cluster.stop("immediate")
        cluster.start()
        cluster.execute("TRUNCATE dicom_node_study CASCADE", "node")
        assert keeping.ask("go on") == "waits"  # it finds its connection lost
        assert keeping.ask("go on") == "waits"
        assert cluster.execute("SELECT count(*) FROM dicom_node_instance", "node") == "1"
        keeping.tell("stop")
        for told in (taking, keeping):
            told.process.stdin.close()


def test_two_processes_share_one_postgresql(environment, tmp_path):
    both = [Told(environment) for _ in range(2)]
    for number in range(1, 21):
        for told in both:
            told.tell(f"take {number}")
            told.tell(f"take {number + 100}")
    for told in both:
        told.process.stdin.close()
    outcomes = [told.process.stdout.read().split() for told in both]
    assert [told.process.wait(30) for told in both] == [0, 0]
    for one, other in zip(*outcomes, strict=True):
        assert sorted((one, other)) == ["duplicate", "stored"]
    assert len(files(tmp_path)) == 40
    for told in both:
        told.process.stdout.close()


@pytest.fixture
def lose_commits(monkeypatch):
    """Make the database go away in mid-commit, after or before it did it."""

    def lose_commits(*, done: bool) -> None:
        real = type(connection._connections[connection._alias]).commit

        def commit(self):
            if done:
                real(self)
            raise OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(type(connection._connections[connection._alias]), "commit", commit)

    return lose_commits


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_without_an_answer_leaves_the_file_and_the_retry_succeeds(
    take, layout, lose_commits, monkeypatch, done
):
    lose_commits(done=done)
    with pytest.raises(writer.CommitUnknown):
        take(ct())
    monkeypatch.undo()
    assert len(list(layout.objects.rglob("*.dcm"))) == 1
    assert take(ct()).outcome is (Outcome.DUPLICATE if done else Outcome.STORED)
    assert len(list(layout.objects.rglob("*.dcm"))) == 1
    assert rebuild.catch_up(layout, "") == rebuild.Report()


def test_a_commit_without_an_answer_is_settled_by_the_next_comparison(
    take, layout, lose_commits, monkeypatch
):
    lose_commits(done=False)
    with pytest.raises(IndexUnavailable):
        take(ct())
    monkeypatch.undo()
    assert rebuild.catch_up(layout, "").added == 1
    assert Instance.objects.get().uid == ct().SOPInstanceUID
