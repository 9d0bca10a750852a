"""STOW-RS, the digests and the preparation of a study, with the index in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support import postgres

pytestmark = pytest.mark.slow  # a database server of its own

A_DAY = """
import json, sys
from pathlib import Path
import django
django.setup()
from django.core.management import call_command
from django.db import connection
call_command("migrate", verbosity=0)
from django.test import Client
from dicom_node.chores import digests, renditions
from dicom_node.config import CONFIG
from dicom_node.index import rebuild
from dicom_node.ingest import door
from dicom_node.models import FrameMap, Instance, Preparation, Quarantined, Study
from dicom_node.store.layout import Layout
from pacs_common.tickets import TicketIssuer
from tests.support.data_sets import SERIES, STUDY, ct
from tests.support.stow import RELATED, STUDIES, as_file, body

layout, told = Layout(CONFIG.data_dir), {}
signer = TicketIssuer.at("portal", Path(sys.argv[1]), CONFIG.trust_dir)
token = signer.issue(CONFIG.name, ["dicomweb", "dicomweb.store"], subject="tester")
client = Client(headers={"Authorization": f"Bearer {token}"})
IN_SERIES = f"{STUDIES}/{STUDY}/series/{SERIES}"

def content(answer):
    return b"".join(answer.streaming_content) if answer.streaming else answer.content

def store(*objects):
    answer = client.post(STUDIES, body(objects), content_type=RELATED)
    items = answer.json().get("00081199", {}).get("Value", [])
    warnings = [item.get("00081196", {}).get("Value", [0])[0] for item in items]
    return [answer.status_code, warnings, "00081198" in answer.json()]

def look():
    metadata = client.get(f"{IN_SERIES}/metadata")
    found = json.loads(content(metadata))
    numbers, alone = (1, 2, 3, 5), {"Accept": "application/octet-stream"}
    addresses = [f"{IN_SERIES}/instances/{SERIES}.{number}/frames/1" for number in numbers]
    frames = [content(client.get(address, headers=alone)) for address in addresses]
    assert frames == [ct(number).PixelData for number in numbers]
    again = client.get(f"{IN_SERIES}/metadata", headers={"If-None-Match": metadata["ETag"]})
    thumbnail = client.get(f"{IN_SERIES}/thumbnail")
    counted = client.get(f"{STUDIES}?StudyInstanceUID={STUDY}&includefield=all")
    study = counted.json()[0]
    return {
        "uids": [one["00080018"]["Value"][0] for one in found],
        "again": again.status_code,
        "tag": metadata["ETag"],
        "thumbnail": thumbnail.status_code,
        "instances": study["00201208"]["Value"],
    }

told["engine"] = connection.vendor
told["first"] = store(*(as_file(ct(n)) for n in (1, 2, 3)), as_file(ct(1)))
told["again"] = store(
    as_file(ct(1)),
    as_file(ct(2), "1.2.840.10008.1.2"),
    as_file(ct(3, StudyDescription="another")),
    as_file(ct(4, PatientID="FR-9")),
    as_file(ct(5)),
)
told["waiting"] = sorted(Quarantined.objects.values_list("reason", flat=True))
before = look()
told["digests"] = digests.compute(layout)
for study in renditions.due(0):
    renditions.settle(study, lambda: True)
told["due"] = renditions.due(0).count()
told["maps"] = FrameMap.objects.count()
told["images"] = Preparation.objects.get().images
told["kept"] = len([path for path in layout.renditions.rglob("*") if path.is_file()])
after = look()
told["changed"] = [name for name in after if after[name] != before[name]]
told["uids"], told["answers"] = after["uids"], [after["again"], after["thumbnail"]]
told["instances"] = after["instances"]
told["late"] = store(as_file(ct(6)))
told["due_again"] = renditions.due(0).count()
told["new_tag"] = look()["tag"] != after["tag"]
told["missing"] = str(rebuild.catch_up(layout, "") == rebuild.Report())
door.close()
print(json.dumps(told))
"""


def test_a_day_of_storing_and_preparing(tmp_path):
    with postgres.cluster() as cluster:
        environment = os.environ | {
            "PACS_DATA_DIR": str(tmp_path / "data"),
            "PACS_DATABASE_URL": cluster.create("node"),
            "PYTHONPATH": os.getcwd(),
        }
        command = [sys.executable, "-c", A_DAY, str(tmp_path / "portal.key")]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["engine"] == "postgresql"
    assert told["first"] == [200, [0, 0, 0, 0], False]
    assert told["again"] == [202, [0, 0, 0xB007, 0xB007, 0], False]
    assert told["waiting"] == ["other-patient", "same-uid"]
    assert (told["digests"], told["due"], told["maps"]) == (4, 0, 4)
    assert told["images"] and told["kept"]
    assert told["changed"] == []
    assert [uid.rpartition(".")[2] for uid in told["uids"]] == ["1", "2", "3", "5"]
    assert (told["answers"], told["instances"]) == ([304, 200], [4])
    assert told["late"] == [200, [0], False]
    assert (told["due_again"], told["new_tag"], told["missing"]) == (1, True, "True")
