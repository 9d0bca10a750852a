"""C-GET and C-MOVE: in which transfer syntax objects leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

from dicom_node.dimse.scu import encoding, plan
from dicom_node.models import Instance
from dicom_node.render.pixels import pixel_sha256
from dicom_node.render.transcode import frame_as
from tests.node.dimse_peers import EXPLICIT, IMPLICIT, known_as, storage
from tests.node.objects import SERIES, ct
from tests.node.retrieve.callers import GET, J2K, LOSSLESS_70, MOVE, calling, stored_path, study

pytestmark = pytest.mark.slow  # real peers, real waiting
JPEG_LS, HTJ2K = str(JPEGLSLossless), str(HTJ2KLossless)
LOSSY = {str(JPEGBaseline8Bit), "1.2.840.10008.1.2.4.91"}


def jpeg_70(number: int = 1) -> Dataset:
    """Return a CT slice whose pixels are lossless JPEG."""
    raw = ct(number, Rows=64, Columns=64, PixelData=bytes(range(256)) * 32)
    raw.BitsStored, raw.HighBit = 16, 15
    raw.file_meta = Dataset()
    raw.file_meta.TransferSyntaxUID = EXPLICIT
    raw.PixelData = bytes(8192)
    raw.PixelData = encapsulate([frame_as(raw, 0, LOSSLESS_70)])
    raw["PixelData"].VR = "OB"
    raw["PixelData"].is_undefined_length = True
    return raw


def syntaxes(received: list[Dataset]) -> list[str]:
    return [str(ds.file_meta.TransferSyntaxUID) for ds in received]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ((LOSSLESS_70, EXPLICIT, IMPLICIT), LOSSLESS_70),
        ((str(RLELossless), IMPLICIT), str(RLELossless)),
        ((str(RLELossless), HTJ2K, J2K, JPEG_LS), JPEG_LS),
        ((J2K, IMPLICIT), J2K),
        ((HTJ2K, IMPLICIT), HTJ2K),
        ((IMPLICIT, EXPLICIT), EXPLICIT),
        ((IMPLICIT,), IMPLICIT),
    ],
)
def test_lossless_pixels_leave_as_they_are_or_lossless_or_decompressed(
    caller, take, taken, expected
):
    content = jpeg_70()
    take(content, LOSSLESS_70)
    with storage(*taken) as found, known_as("DEST", found.port):
        assert caller.move()[-1].status == 0x0000
    (got,) = found.kept
    assert got.file_meta.TransferSyntaxUID == expected
    content.file_meta.TransferSyntaxUID = LOSSLESS_70
    assert pixel_sha256(got) == pixel_sha256(content)


@pytest.mark.parametrize(
    ("name", "stored_syntax", "taken", "expected"),
    [
        ("MR_small_jp2klossless.dcm", J2K, (LOSSLESS_70, IMPLICIT), LOSSLESS_70),
        ("MR_small_jp2klossless.dcm", J2K, (EXPLICIT,), EXPLICIT),
        ("GDCMJ2K_TextGBR.dcm", J2K, (LOSSLESS_70,), LOSSLESS_70),
        ("GDCMJ2K_TextGBR.dcm", J2K, (str(RLELossless),), str(RLELossless)),
        ("SC_rgb_rle_16bit.dcm", str(RLELossless), (LOSSLESS_70,), LOSSLESS_70),
        ("SC_rgb_rle_32bit.dcm", str(RLELossless), (LOSSLESS_70, EXPLICIT), EXPLICIT),
        ("JPEG2000.dcm", "1.2.840.10008.1.2.4.91", (LOSSLESS_70, EXPLICIT), EXPLICIT),
        ("SC_rgb_jpeg_dcmtk.dcm", str(JPEGBaseline8Bit), (LOSSLESS_70, EXPLICIT), EXPLICIT),
        ("MR_small_bigendian.dcm", "1.2.840.10008.1.2.2", (IMPLICIT,), IMPLICIT),
        ("CT_small.dcm", EXPLICIT, (LOSSLESS_70,), LOSSLESS_70),
        ("CT_small.dcm", EXPLICIT, (JPEG_LS,), JPEG_LS),
        ("CT_small.dcm", EXPLICIT, (J2K,), J2K),
        ("CT_small.dcm", EXPLICIT, (HTJ2K,), HTJ2K),
        ("SC_rgb_rle_16bit.dcm", str(RLELossless), (J2K,), J2K),
    ],
)
def test_real_files_are_turned_without_loss_and_lossy_ones_only_decompressed(
    server, real, name, stored_syntax, taken, expected
):
    real(name)
    row = Instance.objects.get()
    assert row.transfer_syntax == stored_syntax
    named = study("IMAGE", SOPInstanceUID=row.uid)
    with (
        storage(*taken, classes=(row.sop_class,)) as found,
        known_as("DEST", found.port),
        calling(server.port) as caller,
    ):
        assert caller.ask(MOVE, named, "DEST")[-1].status == 0x0000
    (got,) = found.kept
    assert got.file_meta.TransferSyntaxUID == expected
    if stored_syntax not in LOSSY:
        assert pixel_sha256(got) == pixel_sha256(dcmread(stored_path(row)))


def test_what_the_peer_takes_in_no_syntax_fails_alone_and_is_listed(server, take):
    take(ct(1))
    take(ct(2, SOPClassUID=MRImageStorage, Modality="MR"))
    with calling(server.port, (CTImageStorage, IMPLICIT)) as caller:
        last = caller.ask(GET, study())[-1]
    assert last.status == 0xB000
    assert last.counts == (None, 1, 1, 0)
    assert last.failed == [f"{SERIES}.2"]
    assert "MR Image Storage" in last.comment
    assert syntaxes(caller.kept) == [IMPLICIT]


def test_a_get_chooses_among_several_contexts_of_one_class(server, take):
    take(ct(1))
    take(jpeg_70(2), LOSSLESS_70)
    contexts = [
        (CTImageStorage, IMPLICIT),
        (CTImageStorage, LOSSLESS_70),
        (CTImageStorage, EXPLICIT),
    ]
    with calling(server.port, *contexts) as caller:
        assert caller.ask(GET, study())[-1].status == 0x0000
    assert syntaxes(caller.kept) == [EXPLICIT, LOSSLESS_70]


@given(
    st.sets(
        st.tuples(
            st.integers(1, 60).map(lambda n: f"1.2.3.{n}"),
            st.sampled_from([EXPLICIT, IMPLICIT, LOSSLESS_70, str(JPEGBaseline8Bit)]),
        )
    )
)
def test_contexts_fit_their_associations_and_no_class_is_split(pairs):
    groups = plan.groups(pairs)
    assert all(0 < len(group) <= 128 for group in groups)
    where = [{proposal.sop_class for proposal in group} for group in groups]
    assert sum(map(len, where)) == len({sop_class for sop_class, _ in pairs})
    proposed = [(p.sop_class, p.syntaxes) for group in groups for p in group]
    assert len(set(proposed)) == len(proposed)
    assert {(sop_class, (syntax,)) for sop_class, syntax in pairs} <= set(proposed)
    for sop_class, _ in pairs:
        assert (sop_class, (IMPLICIT,)) in proposed


def test_lossy_pixels_are_never_compressed_again():
    assert encoding.candidates(str(JPEGBaseline8Bit)) == [str(JPEGBaseline8Bit), EXPLICIT, IMPLICIT]


def test_more_classes_than_one_association_holds_go_over_several(caller, take, monkeypatch):
    monkeypatch.setattr(plan, "MAX_CONTEXTS", 4)
    classes = (CTImageStorage, MRImageStorage)
    take(ct(1))
    take(ct(2, SOPClassUID=MRImageStorage, Modality="MR"))
    take(ct(3))
    with storage(classes=classes) as found, known_as("DEST", found.port):
        last = caller.move()[-1]
    assert (last.status, last.counts) == (0x0000, (None, 3, 0, 0))
    assert found.associations == 2
