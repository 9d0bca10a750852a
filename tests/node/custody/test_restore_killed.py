"""SIGKILL of a node while it is filled from the archive: given again, it ends the same."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicom_node.chores import digests
from dicom_node.custody.hold import hold
from dicom_node.index.holds import Hold
from dicom_node.store.journal import Journal
from tests.node.custody.restored import COPIES, Lost
from tests.node.objects import STUDY, ct
from tests.support.roles import ROOT

pytestmark = pytest.mark.slow

KILLS = 3
FILL = """
import io, pickle, sys
from pathlib import Path
from dicom_node.config import CONFIG
from dicom_node.custody.restore import Given, restore
from dicom_node.custody.restored_journal import restore_records
from dicom_node.store.blobs import ensure_folder
from dicom_node.store.layout import Layout
from tests.node.custody.restored import COPIES, digest
layout = Layout(CONFIG.data_dir)
ensure_folder(layout.objects)
lost = pickle.loads(Path(sys.argv[-1]).read_bytes())
for study_uid, records in lost.records.items():
    restore_records(layout, study_uid, records, lost.revisions[study_uid], "archive")
    print("journal", flush=True)
for number, ((study_uid, uid), content) in enumerate(sorted(lost.files.items())):
    copies = COPIES if number % 3 == 2 else None
    given = Given(study_uid, uid, len(content), digest(content), copies, "archive")
    restore(layout, given, io.BytesIO(content), reserve_bytes=0)
    print(uid, flush=True)
"""
TELL = """
import json
from dicom_node.chores import digests
from dicom_node.config import CONFIG
from dicom_node.store.layout import Layout
from tests.node.test_rebuild import snapshot
layout = Layout(CONFIG.data_dir)
while digests.compute(layout):
    pass
print(json.dumps({"/".join(key): row for key, row in snapshot().items()}, default=str))
"""


@pytest.fixture
def lost(take, layout, tmp_path) -> Path:
    """What the archive has of a node of three studies, pickled."""
    for study in range(3):
        for number in range(5):
            own = f"{STUDY}.{study}"
            take(ct(number, study=own, series=f"{own}.1"))
    while digests.compute(layout):
        pass
    hold(layout, f"{STUDY}.1", [Hold("legal", "expertise", "archivist")], "archivist")
    file = tmp_path / "lost"
    file.write_bytes(pickle.dumps(Lost.of(layout)))
    return file


def node(data_dir: Path, *argv: str, **how) -> subprocess.Popen:
    env = {**os.environ, "PACS_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}
    env |= {"PACS_DEFAULT_ISSUER": "FREJUS"}
    command = [sys.executable, str(ROOT / "manage.py"), "node", *argv]
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, **how)


def run(data_dir: Path, *argv: str) -> str:
    done = node(data_dir, *argv)
    told, _ = done.communicate(timeout=60)
    assert done.returncode == 0, argv
    return told


def killed_after(filling: subprocess.Popen, lines: int, more_s: float) -> None:
    """Kill a process a moment after it said so many lines."""
    for _ in range(lines):
        filling.stdout.readline()
    time.sleep(more_s)
    filling.kill()
    filling.communicate()


def test_a_node_that_is_killed_while_it_is_filled_ends_as_if_it_was_not(lost, tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    data_dir = tmp_path / "node"
    run(data_dir, "migrate", "-v0")
    code = f"import sys; sys.argv.append({str(lost)!r})\n{FILL}"
    for turn in range(KILLS):
        filling = node(data_dir, "shell", "-v0", "-c", code)
        killed_after(filling, 3 + turn * 4 + rng.randrange(3), rng.random() / 50)
    assert run(data_dir, "shell", "-v0", "-c", code).count(STUDY) == 15
    told = json.loads(run(data_dir, "shell", "-v0", "-c", TELL))
    kept = pickle.loads(lost.read_bytes())
    for number, ((study_uid, uid), content) in enumerate(sorted(kept.files.items())):
        (key,) = (key for key in kept.index if key[:2] == ("Instance", uid))
        row, before = told["/".join(key)], kept.index[key]
        is_stub = number % 3 == 2
        assert row == json.loads(json.dumps(before, default=str)) | {
            "availability": "NEARLINE" if is_stub else "ONLINE"
        }
        (path,) = (data_dir / "objects").rglob(f"{uid}.{'stub' if is_stub else 'dcm'}")
        assert is_stub or path.read_bytes() == content
        assert told[f"Study/{study_uid}/"]["revision"] == kept.revisions[study_uid]
    assert told[f"Study/{STUDY}.1/"]["holds"]
    records = list(Journal(data_dir / "journal").read())
    evicted = [one["sop_instance_uid"] for one in records if one["kind"] == "evicted"]
    assert len(evicted) == len(set(evicted)) == 5
    assert all(one["copies"] == COPIES for one in records if one["kind"] == "evicted")
    run(data_dir, "fsck")
