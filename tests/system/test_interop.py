"""A node beside programs by other hands: DCMTK stores, finds, gets and moves."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.support import roles
from tests.support.services import require, require_shared_dicom

DESTINATION = "DEMO_SCP"


@pytest.fixture(scope="module")
def move_port() -> int:
    return roles.free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, move_port: int) -> Iterator[roles.Role]:
    """A whole node (run: DICOM, HTTP, chores) as real processes."""
    folder = tmp_path_factory.mktemp("interop")
    destinations = f"{DESTINATION}=127.0.0.1:{move_port}"
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
def storescp(port: int, folder: Path) -> Iterator[None]:
    """DCMTK's receiver, which takes whatever is proposed and keeps the bytes."""
    process = subprocess.Popen(
        [require("storescp"), "-aet", DESTINATION, "+B", "+xa", "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(0.5)
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
