"""Every public file in a node and in Orthanc: searches, metadata, frames and pictures agree.

Exceptions are listed with their reason: Orthanc 1.10 with its DICOMweb plug-in 1.7.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.benchmarks import peers
from tests.node.test_metadata_oracle import differences, plain
from tests.support import roles
from tests.support.services import require, require_shared_dicom
from tests.system import collection

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom on files that lie
]
JSON = {"Accept": "application/dicom+json"}
RAW = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
EVERY = 1 if os.environ.get("PACS_TEST_SOAK") else 4  # of the pixels: each, or each fourth

# What a server says of itself: where an object is, and its character set (ours is always UTF-8).
OF_A_SERVER = {"00080005", "00080054", "00080056", "00081190", "00083002"}
NO_OBJECT = {"SC_rgb_jpeg.dcm": "Orthanc takes it and cannot find it: implicit under another label"}
_NO_CHARSET = "Orthanc's build knows no code extensions"
EXCEPTIONS = {
    **dict.fromkeys(("chrX1.dcm", "chrX2.dcm", "chrH31.dcm", "chrH32.dcm"), _NO_CHARSET),
    **dict.fromkeys(("chrI2.dcm", "chrJapMulti.dcm", "chrKoreanMulti.dcm"), _NO_CHARSET),
    "chrJapMultiExplicitIR6.dcm": _NO_CHARSET,
    "J2K_pixelrep_mismatch.dcm": "a backslash of ISO_IR 13 is a Yen sign to Orthanc",
    ("chrArab.dcm", "00100010"): "Orthanc's searches are ASCII here",
    ("chrGreek.dcm", "00100010"): "Orthanc's searches are ASCII here",
    ("chrHbrw.dcm", "00100010"): "Orthanc's searches are ASCII here",
    ("chrRuss.dcm", "00100010"): "Orthanc's searches are ASCII here",
    ("sm_annotations.dcm", "00660022"): "Orthanc lists OD values as numbers",
    ("sm_annotations.dcm", "00660125"): "Orthanc lists OF values as numbers",
    ("DX-RDSR-Carestream_DRXEvolution.dcm", "001021B0"): "LT has one value, backslashes included",
    ("DX-RDSR-Carestream_DRXEvolution.dcm", "00324000"): "LT has one value, backslashes included",
    ("CR-ModalitySequenceLUT.dcm", "20100010"): "ST has one value, backslashes included",
    ("dx_image.dcm", "20100010"): "ST has one value, backslashes included",
    ("ct.0.dcm", "00200037"): "Orthanc rounds -1.2e-16 to 0",
    ("badVR.dcm", "00280008"): "'1A' is no number: we say what is there, Orthanc nothing",
    ("966_fixed.dcm", "00100030"): "no date: the index does not keep what is none",
    ("JPGLosslessP14SV1_1s_1f_8b.dcm", "00400260"): "Orthanc reads no sequence in an UN",
    # one series, several modalities: the first names it in searches, and which of a body's parts
    # is first is the affair of the threads that take them
    **{
        (f"{name}.dcm", tag): "another modality than its series"
        for name in (
            *("CT_small", "ct_image", "sr_document", "example", "example-mg"),
            *("example-redacted-jp2k", "example-redacted-moved-jp2k", "example-redacted-mg-jp2k"),
        )
        for tag in ("00080060", "00080061")
    },
    ("basic.dcm", "00100010"): "studies of one UID: the first file names the patient",
    ("img_1.0.0.0.dcm", "00100010"): "studies of one UID: the first file names the patient",
}
NOT_BY_ORTHANC = {
    "00280009", "00280120", "00281101", "00281102", "00281103", "300C0002", "52009229",
}  # of a VR that it guesses (US or SS, AT), or longer than it keeps: left out  # fmt: skip


@dataclass
class Both:
    """A node and Orthanc with the same files."""

    ours: httpx.Client
    theirs: httpx.Client
    files: dict[str, tuple[str, str]]
    """By SOP Instance UID: the public file's name and the address."""

    def pairs(self, suffix: str, every: int = 1, **headers: str) -> Iterator[Pair]:
        """Ask both for something of each object (of each nth); two clients ask."""

        def ask(one: tuple[str, str]) -> Pair:
            name, address = one
            answers = [web.get(address + suffix, headers=headers) for web in self.webs]
            return Pair(name, *answers)

        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(ask, list(self.files.values())[::every])

    @property
    def webs(self) -> tuple[httpx.Client, httpx.Client]:
        """Both clients, ours first."""
        return self.ours, self.theirs


@dataclass(frozen=True)
class Pair:
    """What both answered about one file."""

    name: str
    ours: httpx.Response
    theirs: httpx.Response

    @property
    def both(self) -> bool:
        """Whether both gave what was asked for."""
        return self.ours.status_code == self.theirs.status_code == 200


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    require_shared_dicom()
    require("Orthanc")
    folder = tmp_path_factory.mktemp("oracle")
    for name in ("files", "node", "orthanc"):
        (folder / name).mkdir()
    node = roles.node(folder / "node")
    orthanc = require_web_peer(folder / "orthanc")
    try:
        with (
            roles.running(node),
            collection.client(node) as ours,
            httpx.Client(base_url=f"http://127.0.0.1:{orthanc.http_port}", timeout=60) as theirs,
        ):
            sent = collection.written(folder / "files")
            said = collection.stowed(ours, sent)
            taken = [one for one in sent if said[one.path] == collection.TAKEN]
            for one in taken:
                theirs.post("/instances", content=one.path.read_bytes())
            theirs.base_url = theirs.base_url.join("/dicom-web/")
            held = collection.addresses(ours)
            yield Both(ours, theirs, {one.uid: (one.origin.name, held[one.uid]) for one in taken})
    finally:
        orthanc.stop()
        shutil.rmtree(folder)


def require_web_peer(folder: Path) -> peers.Peer:
    """Start Orthanc with its plug-in, or skip with what to install."""
    try:
        return peers.orthanc_on_the_web(folder)
    except peers.Absent:
        pytest.skip("needs Orthanc's DICOMweb plug-in: apt-get install orthanc-dicomweb")


def excused(name: str, path: str) -> bool:
    """Return whether a difference at a path is listed."""
    keys = {name, (name, path[:8]), (name, path[-8:])}
    return bool(keys & EXCEPTIONS.keys()) or path[-8:] in NOT_BY_ORTHANC


def comparable(attributes: dict) -> dict:
    """Return public attributes without what is a matter of taste or of the server."""
    result = {}
    for tag, attribute in attributes.items():
        if tag in OF_A_SERVER or int(tag[:4], 16) % 2:
            continue
        vr, values = attribute["vr"], attribute.get("Value", [])
        if "InlineBinary" in attribute or "BulkDataURI" in attribute:
            result[tag] = {"vr": vr, "BulkDataURI": ""}
        elif vr == "SQ":
            result[tag] = {"vr": vr, "Value": [comparable(item) for item in values]}
        elif vr == "PN":
            named = [value for value in values if value and "".join(value.values()).strip("^= ")]
            result[tag] = {"vr": vr, "Value": named}
        else:  # -0.0 is 0
            values = [value + 0.0 if isinstance(value, float) else value for value in values]
            result[tag] = {"vr": vr, "Value": values}
    return result


def test_metadata_agree(both: Both):
    wrong, compared = [], 0
    for pair in both.pairs("/metadata", **JSON):
        if pair.name in NO_OBJECT:
            continue
        assert pair.both, (pair.name, pair.ours.text[:200], pair.theirs.text[:200])
        ours, theirs = (comparable(answer.json()[0]) for answer in (pair.ours, pair.theirs))
        found = differences(ours, theirs)
        wrong += [(pair.name, *one) for one in found if not excused(pair.name, one[0])]
        compared += 1
    assert wrong == []
    assert compared > 350


def normal(attribute: dict) -> list[object]:
    """Return values as the index keeps them: dates and times in today's form, no padding."""
    values = []
    for value in attribute.get("Value", []):
        if attribute["vr"] == "DA":
            value = value.replace(".", "")
        elif attribute["vr"] == "TM":
            whole, _, fraction = value.replace(":", "").partition(".")
            value = f"{whole:0<6}.{fraction[:6]:0<6}"  # microseconds, as DICOM has them
        values.append(plain(value, attribute["vr"]))
    return [value for value in values if value]


@pytest.mark.parametrize(
    ("level", "count"), [("study", "00201208"), ("series", "00201209"), ("instance", None)]
)
def test_searches_agree(both: Both, level: str, count: str | None):
    """Orthanc parts a study where a Patient ID is padded otherwise: its counts are added up."""
    wrong, asked = [], set()
    for name, address in both.files.values():
        _, study, _, series, _, uid = address.split("/")
        question = {
            "study": f"studies?StudyInstanceUID={study}",
            "series": f"studies/{study}/series?SeriesInstanceUID={series}",
            "instance": f"studies/{study}/series/{series}/instances?SOPInstanceUID={uid}",
        }[level]
        if name in NO_OBJECT or question in asked:
            continue
        asked.add(question)
        ours, theirs = (web.get(question, headers=JSON).json() for web in both.webs)
        assert len(ours) == 1, question
        if count and name not in ("SC_rgb_jpeg_dcmd.dcm",):  # whose study NO_OBJECT is of
            found = sum(one[count]["Value"][0] for one in theirs)
            assert ours[0][count]["Value"] == [found], (name, question)
        wrong += [
            (name, tag, ours[0].get(tag), attribute)
            for tag, attribute in theirs[0].items()
            if tag not in {count, *OF_A_SERVER}
            and not excused(name, tag)
            and (tag not in ours[0] or normal(ours[0][tag]) != normal(attribute))
        ]
    assert wrong == []
    assert len(asked) > 100


FRAMES_DIFFER = {
    "YBR_FULL": "Orthanc decodes to RGB and leaves the name of the colours",
    "YBR_FULL_422": "Orthanc decodes to RGB and leaves the name of the colours",
}
FRAMES_OF_FILES = {
    **dict.fromkeys(("example.dcm", "example2.dcm", "example-mg.dcm"), "lossy, rounded otherwise"),
    **dict.fromkeys(("rtdose_expb.dcm", "rtdose_expb_1frame.dcm"), "it turns 32 bits as words"),
    "liver_deflate.dcm": "it sends the deflated frame as if it were raw",
}


def test_raw_frames_agree_where_orthanc_gives_them(both: Both):
    wrong, equal = [], 0
    colours = {
        pair.name: pair.ours.json()[0].get("00280004", {}).get("Value", [""])[0]
        for pair in both.pairs("/metadata", EVERY, **JSON)
    }
    for pair in both.pairs("/frames/1", EVERY, Accept=RAW):
        if not pair.both:
            assert pair.ours.status_code in (200, 406), pair.ours.text
            continue
        if collection.only_part(pair.ours)[1] == collection.only_part(pair.theirs)[1]:
            equal += 1
        elif colours[pair.name] not in FRAMES_DIFFER and pair.name not in FRAMES_OF_FILES:
            wrong.append(pair.name)
    assert wrong == []
    assert equal >= 200 // EVERY


def test_pictures_have_the_size_that_orthancs_have(both: Both):
    compared = 0
    for pair in both.pairs("/rendered", EVERY, Accept="image/png"):
        if pair.both:
            sizes = [Image.open(io.BytesIO(one.content)).size for one in (pair.ours, pair.theirs)]
            assert sizes[0] == sizes[1], pair.name
            compared += 1
        else:
            assert pair.ours.status_code in (200, 406), pair.ours.text
    assert compared >= 200 // EVERY
