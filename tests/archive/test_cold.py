"""Members in cold storage are asked for all at once, whatever step needs them; moto plays S3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from archive_node.jobs import dispatch, restore_waits, runner
from archive_node.models import Copy, Job
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.node_stand_in import NodeStandIn, serving
from tests.archive.test_restore_node import PLENTY, restore
from tests.contract.conftest import bucket, running_store, store  # noqa: F401
from tests.contract.test_s3_vault import set_transition
from tests.support.recording_door import Seen, recorded

pytestmark = pytest.mark.slow

WAITS = ("waiting", "cold storage")


class Hours:
    """Lets what the store restores be under way until `over`.

    moto leaves "under way" after so many looks at the object, and does not say of one that nobody
    has looked at since that it is.
    """

    def __init__(self, store) -> None:  # noqa: F811
        self._store = store
        self._asked: set[str] = set()
        self._under_way: set[str] = set()
        self.over = True

    def begin(self) -> None:
        self._asked.clear()
        self._under_way.clear()
        self.over = False

    def end(self) -> None:
        self.over = True
        set_transition(self._store, {"progression": "immediate"})

    def before(self, seen: Seen) -> None:
        """See a request before the store does."""
        if seen.path.endswith("?restore"):
            self._asked.add(seen.path.removesuffix("?restore"))
        if not self.over and seen.method == "HEAD":
            times = 10**6 if seen.path in self._under_way else 1
            set_transition(self._store, {"progression": "manual", "times": times})
            self._under_way |= self._asked & {seen.path}


class Cold:
    """A vault in cold storage: what it was asked to restore, and how to run jobs against it."""

    def __init__(self, client, name: str, seen: list[Seen], hours: Hours) -> None:
        self._client, self._bucket, self._seen, self.hours = client, name, seen, hours
        self._bodies: dict[str, bytes] = {}

    def asked(self) -> list[str]:
        """Return the members that were asked for, in order."""
        restores = [one.path for one in self._seen if one.path.endswith("?restore")]
        return [path.partition("/main/")[2].removesuffix("?restore") for path in restores]

    def freeze(self) -> list[str]:
        """Let nothing be readable any more; return the members."""
        self._seen.clear()
        listed = self._client.list_objects_v2(Bucket=self._bucket)["Contents"]
        keys = [one["Key"] for one in listed if one["Key"].endswith(".tar")]
        members = [key for key in keys if "/MEMBERS/" not in key]
        for key in members:
            one = {"Bucket": self._bucket, "Key": key}
            if key not in self._bodies:
                self._bodies[key] = self._client.get_object(**one)["Body"].read()
            self._client.put_object(Body=self._bodies[key], StorageClass="GLACIER", **one)
        self.hours.begin()
        return sorted(key.removeprefix("main/") for key in members)

    def attempt(self, job: Job) -> Job:
        """Run a job again, as if it were due."""
        Job.objects.filter(id=job.id).update(state="queued", due_at=timezone.now(), waits_for="")
        assert runner.run(job.id)
        job.refresh_from_db()
        return job

    def ended(self, job: Job) -> Job:
        """Run a job until it waits no more, hours later."""
        self.hours.end()
        for _ in range(12):
            if job.state != "waiting":
                break
            self.attempt(job)
        assert (job.state, job.error) == ("done", "")
        return job


@pytest.fixture
def cold(head, archive, store, bucket, tmp_path) -> Iterator[Cold]:  # noqa: F811
    """A study, and another one, copied into a cold vault in parts; nothing of it is thawed."""
    head.arrive("1.2.4", "1.2.4.1", unlike(7))
    hours = Hours(store)
    with recorded(store.endpoint, hours.before) as (endpoint, seen):
        options = f"endpoint={endpoint}&storage_class=GLACIER&volume=100MB"
        written = f"s3://{bucket}/main?{options}"
        archive(
            vaults_written={"cloud": written, "near": f"disk:{tmp_path / 'near'}?required=no"},
            member_bytes=8000,
        )
        yield Cold(store.client, bucket, seen, hours)
        hours.end()


def asked_for(kind: str, vault: str = "", study_uid: str = STUDY) -> Job:
    job, _ = dispatch.request(kind, "CT", study_uid, "archivist", vault=vault)
    assert runner.run(job.id)
    job.refresh_from_db()
    return job


@pytest.fixture
def kept(cold: Cold, head) -> list[str]:
    """The members of two parts and one more, frozen."""
    for uid in (STUDY, "1.2.4"):
        cold.ended(asked_for("copy", "cloud", uid))
    return cold.freeze()


def test_all_parts_that_were_written_are_read_back_after_one_wait(cold):
    cold.hours.begin()
    job = asked_for("copy", "cloud")
    assert (job.state, job.waits_for) == WAITS
    assert len(cold.asked()) == Copy.objects.count() == 2
    cold.ended(job)
    assert len(cold.asked()) == 2


def test_a_copy_asks_for_all_parts_before_it_waits(cold, kept, head):
    assert run_job("evict").state == "done"
    job = asked_for("copy", "near")
    assert (job.state, job.waits_for) == WAITS
    assert sorted(cold.asked()) == [name for name in kept if STUDY + "/" in name]
    cold.ended(job)
    assert len(cold.asked()) == 2
    assert Copy.objects.filter(vault="near", verified_at__isnull=False).count() == 2


def test_a_recall_asks_for_all_before_it_waits(cold, kept, head):
    before = head.online(STUDY)
    assert run_job("evict").state == "done"
    job = asked_for("recall")
    assert (job.state, job.waits_for) == WAITS
    assert len(cold.asked()) == 2
    cold.ended(job)
    assert head.online(STUDY) == before and len(cold.asked()) == 2


def test_a_scrub_asks_for_the_whole_volume_at_once(cold, kept):
    job, _ = dispatch.request_for_volume("scrub", "cloud", "A00001", "archivist")
    assert runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.waits_for) == WAITS
    assert sorted(cold.asked()) == kept
    cold.ended(job)


def test_an_evacuation_waits_once_to_read_and_once_to_read_back(cold, kept):
    job, _ = dispatch.request_for_volume("evacuate", "cloud", "A00001", "archivist")
    assert runner.run(job.id)
    job.refresh_from_db()
    assert (job.state, job.waits_for) == WAITS
    assert sorted(cold.asked()) == kept
    cold.hours.end()
    cold.attempt(job)  # what lies there is brought, and lies frozen on the next volume
    job.refresh_from_db()
    assert (job.state, job.waits_for) == WAITS
    new = [name for name in cold.asked() if name not in kept]
    assert len(new) == len(kept)
    assert cold.ended(job)
    assert len(cold.asked()) == 2 * len(kept)


def test_what_a_readier_vault_has_is_not_thawed(cold, kept, head):
    for uid in (STUDY, "1.2.4"):
        cold.ended(asked_for("copy", "near", uid))
    cold.freeze()
    assert run_job("evict").state == "done"
    assert asked_for("recall").state == "done"
    assert cold.asked() == []


def test_a_restore_of_a_node_asks_for_all_before_it_waits(
    cold, kept, head, archive, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(restore_waits, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(restore_waits, "THAW_LOOK", timedelta(0))
    asked_at_first: list[list[str]] = []

    def waits() -> None:
        asked_at_first.append(sorted(cold.asked()))
        cold.hours.end()

    note_first(monkeypatch, waits)
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as new:
        new.disk = dict(PLENTY)
        archive(nodes={"CT": new.url})
        out = restore(capsys)
        for uid in (STUDY, "1.2.4"):
            assert new.online(uid) == head.online(uid)
    assert asked_at_first[0] == kept
    assert len(cold.asked()) == len(kept)
    assert "cold storage restores 3 members until about" in out


def note_first(monkeypatch: pytest.MonkeyPatch, note: Callable[[], None]) -> None:
    """Call `note` whenever a restore begins to wait."""
    real = restore_waits.Waiting.wait

    def wait(self, awaited) -> None:
        note()
        real(self, awaited)

    monkeypatch.setattr(restore_waits.Waiting, "wait", wait)
