"""Cables that are pulled, thin and slow: nothing is lost, no page hangs, everything catches up.

The portal, two nodes and the archive are machines of their own on a network of their own.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom.filewriter import dcmwrite

from tests.benchmarks.people import Browser
from tests.support import namespaces, roles
from tests.support.data_sets import ct, encoded
from tests.support.namespaces import Network, network
from tests.support.node_under_fault import indexed, objects, wait_listening
from tests.support.slow_wire import SlowWire, slow_wire
from tests.system.archive_hospital import Hospital, eventually, storescu

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT_UID = "1.2.826.0.1.3680043.10.1361.8"
SIDE, SLICES, STUDIES = 128, 5, 3
NODE_TIMEOUT_S = 3
HANGS_S = 30.0  # a page that takes longer does not answer: its deadline is a tenth of that


@dataclass
class Ward:
    """The hospital on its network, and what was sent to each node: digests by UID, by study."""

    hospital: Hospital
    net: Network
    wire: SlowWire
    clinician: Browser
    archivist: Browser
    sent: dict[str, dict[str, dict[str, str]]]

    def make(self, node: str, day: int) -> Path:
        """Make a day's studies for a node and return their folder."""
        folder = self.hospital.folder / f"day-{day}-{node}"
        for number in range(STUDIES):
            uid = f"{ROOT_UID}.{day}.{ord(node[0])}.{number}"
            (folder / uid).mkdir(parents=True)
            digests = self.sent.setdefault(node, {}).setdefault(uid, {})
            for slice_number in range(1, SLICES + 1):
                pixels = hashlib.sha256(f"{uid}{slice_number}".encode()).digest()
                ds = ct(slice_number, study=uid, series=f"{uid}.1", PatientID=f"FR-{node}-{number}")
                ds.Rows = ds.Columns = SIDE
                ds.PixelData = pixels * (2 * SIDE * SIDE // len(pixels))
                dcmwrite(
                    folder / uid / f"{slice_number}.dcm", ds, implicit_vr=False, little_endian=True
                )
                digests[str(ds.SOPInstanceUID)] = hashlib.sha256(encoded(ds)).hexdigest()
        return folder

    def uids(self, node: str) -> set[str]:
        """Return every instance that was sent to a node."""
        return {uid for study in self.sent[node].values() for uid in study}

    def searched(self) -> str:
        """Return the page of a search of everything."""
        return self.clinician.http.get(self.clinician.post("/", {"name": "lefevre"})).text


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with ExitStack() as stack:
        net = stack.enter_context(network())
        machines = {name: net.machine(name) for name in ("ct", "rf", "archive", "portal")}
        nodes = {
            name: machines[name.lower()].holds(
                roles.node(tmp_path, name, PACS_PEERS=f"STORESCU={net.desk}", PACS_RENDITIONS="off")
            )
            for name in ("CT", "RF")
        }
        vaults = f"onsite=tape:{tmp_path}/onsite,offsite=disk:{tmp_path}/offsite"
        archive = roles.archive(tmp_path, nodes, PACS_VAULTS=vaults, PACS_LEASE_S="5")
        machines["archive"].holds(archive)
        wire = stack.enter_context(slow_wire(net.desk, nodes["RF"].host, nodes["RF"].http_port))
        portal = machines["portal"].holds(
            roles.portal(
                tmp_path,
                nodes,
                archive.url,
                PACS_NODES=f"CT={nodes['CT'].url},RF={wire.url}",
                PACS_ALLOWED_HOSTS=machines["portal"].address,
                PACS_NODE_TIMEOUT_S=str(NODE_TIMEOUT_S),
                PACS_AUDIT_COLLECT_S="1",
            )
        )
        stack.enter_context(roles.running(portal, *nodes.values(), archive))
        for node in nodes.values():
            wait_listening(node)
        place = Hospital(tmp_path, nodes, archive, portal)
        place.open(stack)
        people = [Browser(portal, tmp_path, stack, name) for name in ("clinician", "archivist")]
        for one in people:
            one.http.timeout = httpx.Timeout(HANGS_S)
        yield Ward(place, net, wire, *people, sent={})


def test_nothing_is_lost_and_no_page_hangs_while_links_are_cut_thin_and_slow(ward: Ward):
    place, net = ward.hospital, ward.net
    for name, node in place.nodes.items():
        assert storescu(node, ward.make(name, 1)).wait(60) == 0, node.log[-3000:]
    page = ward.searched()
    assert "did not answer" not in page
    assert all(uid in page for studies in ward.sent.values() for uid in studies)

    net.cut("archive")
    net.throttle("ct", "1mbit")
    net.throttle("rf", "512kbit")
    before = len(objects(place.nodes["RF"]))
    sending = {name: storescu(node, ward.make(name, 2)) for name, node in place.nodes.items()}
    eventually(lambda: len(objects(place.nodes["RF"])) > before)
    net.cut("rf")
    assert sending["RF"].poll() is None  # it is in the midst of it
    page = ward.searched()
    assert "One server did not answer." in page and "RF" in page
    assert all(uid in page for uid in list(ward.sent["CT"])[:STUDIES])
    lost = next(iter(ward.sent["RF"]))
    assert "RF" in explained(ward.clinician, f"/studies/{lost}/")
    assert ward.clinician.http.get("/servers/").status_code == 200
    assert "The archive does not answer." in explained(ward.archivist, "/archive/")
    assert ward.clinician.http.get(f"/studies/{next(iter(ward.sent['CT']))}/").status_code == 200
    net.mend("rf")
    for name, process in sending.items():
        assert process.wait(90) == 0, place.nodes[name].log[-3000:]

    ward.wire.delay_s = 0.1
    assert "did not answer" not in ward.searched()
    ward.wire.delay_s = 2.0 * NODE_TIMEOUT_S
    page = ward.searched()
    assert "One server did not answer." in page
    assert all(uid in page for uid in ward.sent["CT"])
    ward.wire.delay_s = 0.0
    for name, node in place.nodes.items():
        assert objects(node).keys() == ward.uids(name)
        assert indexed(node) == {
            uid: digest for study in ward.sent[name].values() for uid, digest in study.items()
        }
    stored = place.on_disk()

    net.mend("archive")
    place.settle()
    assert place.on_disk() == stored
    eventually(lambda: collected(ward), lambda: f"{sources(ward)} {place.portal.log[-3000:]}")
    page = ward.searched()
    assert "did not answer" not in page
    assert all(uid in page for studies in ward.sent.values() for uid in studies)


def explained(person: Browser, address: str) -> str:
    """Return a page that says what is away, whatever its status."""
    answer = person.http.get(address)
    assert answer.status_code in {200, 502, 503}, answer.text
    return answer.text


def sources(ward: Ward) -> list[tuple[str, str]]:
    """Return of each role whose audit is collected what hinders that."""
    return _rows(ward, "SELECT name, problem FROM audit_auditsource")


def collected(ward: Ward) -> bool:
    """Whether the portal has the audit of every study from its node and from the archive."""
    found = set(_rows(ward, "SELECT source, study_uid FROM audit_auditevent"))
    wanted = {(name, uid) for name, studies in ward.sent.items() for uid in studies}
    wanted |= {("archive", uid) for studies in ward.sent.values() for uid in studies}
    return wanted <= found and not any(problem for _, problem in sources(ward))


def _rows(ward: Ward, statement: str) -> list[tuple]:
    file = Path(ward.hospital.portal.env["PACS_DATA_DIR"]) / "portal.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        return database.execute(statement).fetchall()


def test_the_namespaces_go_with_a_failure_and_those_of_a_killed_run_with_the_next():
    with pytest.raises(RuntimeError), network() as net:
        stale = f"{namespaces.PREFIX}{2**22 + 1}-gone"  # no process has such a number
        namespaces.ip("netns", "add", stale)
        namespaces.sweep()
        own = net.machine("one").namespace
        assert own in namespaces.left() and stale not in namespaces.left()
        raise RuntimeError
    assert not any(own.startswith(name.rpartition("-")[0]) for name in namespaces.left())
