"""A node beside programs by other hands: DCMTK stores, finds, gets and moves."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from pacs_common.node_client import NodeClient
from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.ports import free_port
from tests.support.services import require, require_shared_dicom

DESTINATION, ARCHIVE = "DEMO_SCP", "DCMQRSCP"


@pytest.fixture(scope="module")
def move_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def archive_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, move_port: int, archive_port: int
) -> Iterator[roles.Role]:
    """A whole node (run: DICOM, HTTP, chores) as real processes."""
    folder = tmp_path_factory.mktemp("interop")
    destinations = f"{DESTINATION}=127.0.0.1:{move_port},{ARCHIVE}=127.0.0.1:{archive_port}"
    node = roles.node(folder, "CT", PACS_MOVE_DESTINATIONS=destinations)
    with roles.running(node):
        yield node


def dcmtk(program: str, node: roles.Role, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [require(program), "-aec", "ARGENS_CT", "127.0.0.1", str(node.dicom_port), *argv]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done


def store(node: roles.Role, *files: Path) -> None:
    names = [str(file) for file in files]
    done = dcmtk("storescu", node, "-v", "-R", *names)
    assert done.returncode == 0, done.stdout + done.stderr


def originals(files: list[Path]) -> dict[str, Dataset]:
    return {str(ds.SOPInstanceUID): ds for ds in map(dcmread, files)}


def assert_same_objects(folder: Path, sent: dict[str, Dataset]) -> None:
    """Every object came back once, with every element and every pixel byte equal."""
    got = originals([path for path in folder.iterdir() if path.is_file()])
    assert got.keys() == sent.keys()
    for uid, ds in got.items():
        assert Dataset(ds) == Dataset(sent[uid])
        assert ds.get("PixelData") == sent[uid].get("PixelData")


@pytest.fixture(scope="module")
def ct_study(node: roles.Role, sample_day: Path) -> list[Path]:
    """One CT study of the sample day, stored by storescu."""
    folder = sorted(path for path in (sample_day / "CT").iterdir() if path.is_dir())[0]
    files = sorted(folder.rglob("*.dcm"))
    store(node, *files)
    return files


def test_echoscu_is_answered(node):
    assert dcmtk("echoscu", node).returncode == 0


def test_findscu_finds_a_stored_study_by_a_name_without_its_accents(node, ct_study):
    stored = dcmread(ct_study[0], stop_before_pixels=True)
    family = str(stored.PatientName.family_name)
    pattern = family.upper().replace("È", "E").replace("É", "E").replace("-", " ")
    done = dcmtk(
        "findscu", node, "-S",
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"PatientName={pattern}*",
        "-k", "StudyInstanceUID", "-k", "NumberOfStudyRelatedInstances",
    )  # fmt: skip
    assert stored.StudyInstanceUID in done.stdout + done.stderr
    assert f"[{len(ct_study)}" in done.stdout + done.stderr


def test_getscu_brings_a_study_back_equal(node, ct_study, tmp_path):
    sent = originals(ct_study)
    uid = next(iter(sent.values())).StudyInstanceUID
    done = dcmtk(
        "getscu", node, "-S", "+B", "-od", str(tmp_path),
        "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_objects(tmp_path, sent)


@contextlib.contextmanager
def storescp(port: int, folder: Path, *taken: str) -> Iterator[None]:
    """DCMTK's receiver, which keeps the bytes; it takes whatever is proposed, or `taken` alone."""
    command = [require("storescp"), "-aet", DESTINATION, *(taken or ("+B", "+xa"))]
    with listening([*command, "-od", str(folder), str(port)], port):
        yield


@contextlib.contextmanager
def listening(command: list[str], port: int) -> Iterator[None]:
    """Run a program that serves a port of this machine."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        roles.wait_for_port(port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_movescu_sends_a_study_to_storescp_equal(node, ct_study, move_port, tmp_path):
    sent = originals(ct_study)
    uid = next(iter(sent.values())).StudyInstanceUID
    with storescp(move_port, tmp_path):
        done = dcmtk(
            "movescu", node, "-S", "-aem", DESTINATION,
            "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_objects(tmp_path, sent)


def test_a_series_and_an_image_come_back_alone(node, ct_study, tmp_path):
    one = dcmread(ct_study[0], stop_before_pixels=True)
    series = {u: d for u, d in originals(ct_study).items()
              if d.SeriesInstanceUID == one.SeriesInstanceUID}  # fmt: skip
    keys = ["-k", f"StudyInstanceUID={one.StudyInstanceUID}"]
    keys += ["-k", f"SeriesInstanceUID={one.SeriesInstanceUID}"]
    for level, more, expected in (
        ("SERIES", [], series),
        ("IMAGE", ["-k", f"SOPInstanceUID={one.SOPInstanceUID}"],
         {str(one.SOPInstanceUID): series[str(one.SOPInstanceUID)]}),
    ):  # fmt: skip
        folder = tmp_path / level
        folder.mkdir()
        done = dcmtk("getscu", node, "-S", "-od", str(folder),
                     "-k", f"QueryRetrieveLevel={level}", *keys, *more)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert_same_objects(folder, expected)


SHIPPED = [
    "CT_small.dcm",
    "SC_rgb_rle.dcm",
    "JPEG2000.dcm",
    "JPGExtended.dcm",
    "SC_rgb_small_odd.dcm",
    "examples_ybr_color.dcm",
    "SC_jpeg_no_color_transform.dcm",
    "image_dfl.dcm",
    "MR_small_bigendian.dcm",
    "waveform_ecg.dcm",
    "reportsi.dcm",
]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_of_many_kinds_come_back_by_move_in_their_own_syntax(
    node, move_port, tmp_path, name
):
    path = Path(str(pydicom.data.get_testdata_file(name, download=False)))
    if not path.is_file():
        pytest.skip(f"this pydicom does not ship {name}")
    sent = originals([path])
    store_one(node, path)
    uid, ds = next(iter(sent.items()))
    with storescp(move_port, tmp_path):
        done = dcmtk(
            "movescu", node, "-S", "-aem", DESTINATION, "-k", "QueryRetrieveLevel=IMAGE",
            "-k", f"StudyInstanceUID={ds.StudyInstanceUID}",
            "-k", f"SeriesInstanceUID={ds.SeriesInstanceUID}", "-k", f"SOPInstanceUID={uid}",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_objects(tmp_path, sent)
    (got,) = [dcmread(path) for path in tmp_path.iterdir()]
    assert got.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID


def store_one(node: roles.Role, path: Path) -> None:
    """Send a file as it is, in whatever syntax it has."""
    done = node.command(
        "send", "--called", "ARGENS_CT", "127.0.0.1", str(node.dicom_port), str(path)
    )
    assert done.returncode == 0, done.stderr


def test_a_real_ct_series_goes_in_and_comes_back(node, tmp_path):
    folder = require_shared_dicom() / "ct-series"
    files = sorted(folder.rglob("*.dcm"))
    store(node, *files)
    sent = originals(files)
    uid = next(iter(sent.values())).StudyInstanceUID
    done = dcmtk("getscu", node, "-S", "+B", "-od", str(tmp_path),
                 "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert_same_objects(tmp_path, sent)


@pytest.mark.parametrize(
    ("name", "taken", "syntax"),
    [
        ("GDCMJ2K_TextGBR.dcm", ("+xi",), "1.2.840.10008.1.2"),
        ("GDCMJ2K_TextGBR.dcm", ("+xs",), "1.2.840.10008.1.2.4.70"),
        ("GDCMJ2K_TextGBR.dcm", ("+xr",), "1.2.840.10008.1.2.5"),
        ("GDCMJ2K_TextGBR.dcm", ("+xe",), "1.2.840.10008.1.2.1"),
        ("JPGExtended.dcm", ("+xs",), "1.2.840.10008.1.2.1"),
        ("MR_small_bigendian.dcm", ("+xi",), "1.2.840.10008.1.2"),
    ],
)
def test_storescp_gets_each_file_in_the_best_syntax_that_it_takes(
    node, move_port, tmp_path, name, taken, syntax
):
    path = Path(str(pydicom.data.get_testdata_file(name, download=False)))
    store_one(node, path)
    ds = dcmread(path)
    with storescp(move_port, tmp_path, *taken):
        done = dcmtk(
            "movescu", node, "-S", "-aem", DESTINATION, "-k", "QueryRetrieveLevel=IMAGE",
            "-k", f"StudyInstanceUID={ds.StudyInstanceUID}",
            "-k", f"SeriesInstanceUID={ds.SeriesInstanceUID}",
            "-k", f"SOPInstanceUID={ds.SOPInstanceUID}",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (got,) = [dcmread(path) for path in tmp_path.iterdir()]
    assert got.file_meta.TransferSyntaxUID == syntax
    difference = np.abs(got.pixel_array.astype(int) - ds.pixel_array.astype(int)).max()
    assert difference <= (2 if name == "JPGExtended.dcm" else 0)  # decoders of lossy JPEG differ


@pytest.fixture
def dcmqrscp(node, archive_port: int, tmp_path: Path) -> Iterator[None]:
    """DCMTK's archive, which knows the node as a move destination."""
    (tmp_path / "db").mkdir()
    settings = tmp_path / "dcmqrscp.cfg"
    settings.write_text(
        f"""NetworkTCPPort = {archive_port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
node = (ARGENS_CT, 127.0.0.1, {node.dicom_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{ARCHIVE} {tmp_path / "db"} RW (200, 1024mb) ANY
AETable END
"""
    )
    with listening([require("dcmqrscp"), "-c", str(settings)], archive_port):
        yield


@pytest.mark.parametrize("retrieve", ["scu_move", "scu_get"])
def test_the_node_finds_and_takes_a_study_of_dcmqrscp(
    node, dcmqrscp, sample_day, tmp_path, retrieve
):
    study = sorted(path for path in (sample_day / "RF").iterdir() if path.is_dir())
    chosen = study[0 if retrieve == "scu_move" else 1]
    files = sorted(chosen.rglob("*.dcm"))
    ds = dcmread(files[0], stop_before_pixels=True)
    sent = node.command("send", "--to", ARCHIVE, *map(str, files))
    assert sent.returncode == 0, sent.stderr
    assert node.command("echo", "--to", ARCHIVE).returncode == 0
    found = node.command("find", "--to", ARCHIVE, f"PatientID={ds.PatientID}", "StudyInstanceUID=")
    assert ds.StudyInstanceUID in found.stdout, found.stderr

    trust = node.folder / "trust"
    issuer = TicketIssuer.at("portal", tmp_path / "portal.key", trust)
    client = NodeClient("CT", node.url, issuer, subject="it")
    uids = {"StudyInstanceUID": ds.StudyInstanceUID}
    answers = client.scu_find(ARCHIVE, "STUDY", {**uids, "PatientName": ""})["answers"]
    assert [one["0020000D"]["Value"] for one in answers] == [[ds.StudyInstanceUID]]
    told = list(getattr(client, retrieve)(ARCHIVE, "STUDY", uids))
    assert (told[-1]["status"], told[-1]["completed"]) == ("0x0000", len(files))
    back = client.qido("instances", uids)
    client.http.close()
    assert len(back) == len(files)
