"""Several stored files in one answer, for the archive."""

from __future__ import annotations

import io
import tarfile

import pytest

from tests.node.custody.plans import path_of, plan_for
from tests.node.objects import SERIES, STUDY

UIDS = [f"{SERIES}.{number}" for number in (3, 1, 2)]


def ask(archive, uids=UIDS, study=STUDY):
    client = archive("custody.read", study=study)
    return client.get(f"/api/custody/studies/{study}/files?instances={','.join(uids)}")


def test_the_stored_files_come_byte_for_byte_in_the_order_asked_for(study, archive, layout):
    answer = ask(archive)
    raw = b"".join(answer.streaming_content)
    assert answer["Content-Type"] == "application/x-tar"
    assert int(answer["Content-Length"]) == len(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert tar.getnames() == [f"{uid}.dcm" for uid in UIDS]
        for uid in UIDS:
            assert tar.extractfile(f"{uid}.dcm").read() == path_of(layout, uid).read_bytes()


def test_an_evicted_one_is_told_before_anything_is_sent(study, archive, evict):
    evict(plan_for(study, instances=plan_for(study)["instances"][:1]))
    answer = ask(archive)
    assert answer.status_code == 503 and "NEARLINE" in answer.json()["detail"]
    assert ask(archive, UIDS[:1]).status_code == 200


@pytest.mark.parametrize("uids", [["1.2.3"], [], [""]])
def test_what_is_not_here_is_not_found(study, archive, uids):
    assert ask(archive, uids).status_code == 404


def test_a_path_is_no_uid(study, archive):
    assert ask(archive, ["../../x"]).status_code == 400


def test_an_instance_of_another_study_is_not_given(study, archive):
    assert ask(archive, UIDS, study="1.2.3").status_code == 404


def test_a_file_that_goes_away_meanwhile_ends_the_answer_early(study, archive, layout):
    answer = ask(archive)
    path_of(layout, UIDS[2]).write_bytes(b"short")
    with pytest.raises(Exception, match="is not what it was"):
        b"".join(answer.streaming_content)
