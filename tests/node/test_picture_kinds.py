"""Pictures through states, of several frames, of series; documents and films as they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from dicom_node.models import Instance
from dicom_node.render.presentation import GRAYSCALE_STATE
from tests.node.objects import SERIES, STUDY, ct, put_away
from tests.node.web_answers import parts_of, require_problem, whole

ROOT = f"/dicom-web/studies/{STUDY}"
INSTANCE = f"{ROOT}/series/{SERIES}/instances/{SERIES}.1"
OTHERS = f"{SERIES}.8"
STATE = f"{ROOT}/series/{OTHERS}/instances/{OTHERS}.1"
MPEG_4 = "1.2.840.10008.1.2.4.102"
NO_IMAGE = {"Rows": None, "Columns": None, "PixelData": None}


def get(client, path: str, accept: str = "*/*", **params: object):
    return client.get(path, params, headers={"Accept": accept})


def shades(answer) -> np.ndarray:
    assert answer.status_code == 200, whole(answer)
    return np.asarray(Image.open(io.BytesIO(whole(answer))))


def item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def state(*images: str, **attributes: object) -> Dataset:
    """Return a presentation state for images, each an SOP Instance UID with frames after @."""
    references = []
    for image in images:
        uid, _, frames = image.partition("@")
        reference = item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID=uid)
        if frames:
            reference.ReferencedFrameNumber = [int(number) for number in frames.split(",")]
        references.append(reference)
    series = item(SeriesInstanceUID=SERIES, ReferencedImageSequence=references)
    said = {"SOPClassUID": GRAYSCALE_STATE, "Modality": "PR", **NO_IMAGE} | attributes
    return ct(1, series=OTHERS, ReferencedSeriesSequence=[series], **said)


def three_frames() -> Dataset:
    ds = ct(1, NumberOfFrames=3)
    frames = [np.full(256, 1000 + 300 * number, "<u2") for number in range(3)]
    ds.PixelData = np.concatenate(frames).tobytes()
    return ds


def test_headers_say_what_was_drawn(take, portal):
    take(ct(1))
    answer = get(portal, f"{INSTANCE}/rendered", window="100,400.5,sigmoid", viewport="8,8")
    found = {name: value for name, value in answer.items() if name.startswith("X-Picture")}
    assert found == {
        "X-Picture-Instance": f"{SERIES}.1",
        "X-Picture-Frame": "1",
        "X-Picture-Size": "8,8",
        "X-Picture-Source": "16,16",
        "X-Picture-Window": "100,400.5,SIGMOID",
        "X-Picture-Lossy": "1",
    }
    assert "X-Picture-Lossy" not in get(portal, f"{INSTANCE}/rendered", "image/png")
    again = get(portal, f"{INSTANCE}/rendered", window="100,400.5,sigmoid", viewport="8,8")
    assert dict(again.items()) == dict(answer.items())


def test_a_picture_that_the_caller_has_is_not_sent_again(take, portal):
    take(ct(1))
    first = get(portal, f"{INSTANCE}/rendered", window="100,400")
    known = {"If-None-Match": first["ETag"]}
    again = portal.get(f"{INSTANCE}/rendered", {"window": "100,400"}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    other = portal.get(f"{INSTANCE}/rendered", {"window": "100,401"}, headers=known)
    assert other.status_code == 200


def test_a_region_of_the_image_is_shown_and_flipped(take, portal):
    ds = ct(1)
    ds.PixelData = np.arange(256, dtype="<u2").tobytes()
    ds.RescaleIntercept = 0
    take(ds)
    asked = {"window": "128,256", "viewport": "16,16,4,2,-3,2"}
    found = shades(get(portal, f"{INSTANCE}/rendered", "image/png", **asked))
    assert found.tolist() == [[38, 37, 36], [54, 53, 52]]
    half = {"window": "128,256", "viewport": "16,16,,14,,"}
    assert shades(get(portal, f"{INSTANCE}/rendered", "image/png", **half)).shape == (2, 16)


@pytest.mark.parametrize(
    "params",
    [
        {"viewport": "5,5,1"},
        {"viewport": "5,5,1,2,3"},
        {"viewport": "5,5,1,2,3,4,5"},
        {"viewport": "5,5,-1,2,3,4"},
        {"viewport": "5,5,1,2,0,4"},
        {"viewport": "5,5,a,2,3,4"},
        {"viewport": "5,5,1e9,2,3,4"},
        {"annotation": ""},
        {"annotation": "patient,everything"},
        {"iccprofile": "mine"},
        {"presentation": "../../etc/passwd"},
        {"window": "40,0.5"},
    ],
)
def test_nonsense_in_a_query_is_400_before_anything_is_looked_up(db, portal, params):
    require_problem(get(portal, f"{INSTANCE}/rendered", **params), 400)


def test_a_region_outside_the_image_is_400(take, portal):
    take(ct(1))
    require_problem(get(portal, f"{INSTANCE}/rendered", viewport="5,5,16,0,4,4"), 400)
    require_problem(get(portal, f"{INSTANCE}/thumbnail", viewport="5,5,0,0,4,4"), 400)


@pytest.mark.parametrize("profile", ["yes", "srgb", "adobergb"])
def test_colour_profiles_are_406_and_none_is_fine(take, portal, profile):
    take(ct(1))
    require_problem(get(portal, f"{INSTANCE}/rendered", iccprofile=profile), 406)
    assert get(portal, f"{INSTANCE}/rendered", iccprofile="no").status_code == 200


def test_the_patient_is_written_on_a_picture_only_when_asked_for(take, portal):
    take(ct(1, Rows=128, Columns=128, PixelData=bytes(2 * 128 * 128)))
    plain = shades(get(portal, f"{INSTANCE}/rendered", "image/png"))
    named = shades(get(portal, f"{INSTANCE}/rendered", "image/png", annotation="Patient"))
    assert np.ptp(plain) == 0
    assert np.ptp(named) > 200


def test_several_frames_are_a_multipart_answer_in_their_order(take, portal):
    take(three_frames())
    path = f"{INSTANCE}/frames/3,1/rendered"
    answer = get(portal, path, 'multipart/related; type="image/png"', window="500,1500")
    parts = parts_of(answer)
    single = [
        whole(get(portal, f"{INSTANCE}/frames/{n}/rendered", "image/png", window="500,1500"))
        for n in (3, 1)
    ]
    assert [part.content_type for part in parts] == ["image/png"] * 2
    assert [part.body for part in parts] == single
    assert single[0] != single[1]
    require_problem(get(portal, path, "image/png"), 406)
    assert len(parts_of(get(portal, path))) == 2
    require_problem(get(portal, f"{INSTANCE}/frames/1,4/rendered"), 404)


def test_a_gif_of_an_image_plays_its_frames_and_one_of_a_frame_stands_still(take, portal):
    ds = three_frames()
    ds.FrameTime = "40"
    take(ds)
    answer = get(portal, f"{INSTANCE}/rendered", "image/gif", window="300,1500")
    moving = Image.open(io.BytesIO(whole(answer)))
    assert (moving.n_frames, moving.info["duration"], moving.size) == (3, 40, (16, 16))
    still = Image.open(io.BytesIO(whole(get(portal, f"{INSTANCE}/frames/2/rendered", "image/gif"))))
    assert still.n_frames == 1


def test_a_gif_of_too_many_frames_is_406(take, portal):
    frames = {"NumberOfFrames": 301, "Rows": 1, "Columns": 2, "PixelData": bytes(4 * 301)}
    take(ct(1, **frames))
    require_problem(get(portal, f"{INSTANCE}/rendered", "image/gif"), 406)
    assert get(portal, f"{INSTANCE}/rendered").status_code == 200


def test_a_list_of_too_many_frames_is_400(take, portal):
    take(ct(1))
    many = ",".join(["1"] * 1001)
    require_problem(get(portal, f"{INSTANCE}/frames/{many}/rendered"), 400)


def image_of(number: int, low: int, high: int, **attributes: object) -> Dataset:
    ds = ct(number, WindowCenter=None, WindowWidth=None, **attributes)
    ds.PixelData = np.linspace(low, high, 256).astype("<u2").tobytes()
    return ds


def window_of(portal, number: int) -> str:
    path = f"{ROOT}/series/{SERIES}/instances/{SERIES}.{number}/rendered"
    return get(portal, path)["X-Picture-Window"]


def test_images_without_a_window_share_that_of_their_series(take, portal):
    take(image_of(1, 0, 100, Modality="PT", RescaleSlope="1", RescaleIntercept="0"))
    take(image_of(2, 0, 100, Modality="PT", RescaleSlope="5", RescaleIntercept="0"))
    assert window_of(portal, 1) == window_of(portal, 2) == "250.5,501,LINEAR"


def test_a_later_image_widens_the_window_of_all(take, portal):
    take(image_of(1, 0, 100, RescaleIntercept="0"))
    assert window_of(portal, 1) == "50.5,101,LINEAR"
    take(image_of(2, 0, 900, RescaleIntercept="0"))
    assert window_of(portal, 1) == window_of(portal, 2) == "450.5,901,LINEAR"


def test_projections_have_a_window_each(take, portal):
    take(image_of(1, 0, 100, Modality="CR", RescaleIntercept="0"))
    take(image_of(2, 0, 900, Modality="CR", RescaleIntercept="0"))
    assert (window_of(portal, 1), window_of(portal, 2)) == (
        "50.5,101,LINEAR",
        "450.5,901,LINEAR",
    )


INVERSE = {"PresentationLUTShape": "INVERSE"}


@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_a_state_is_seen_as_the_image_that_it_is_for(take, portal, what):
    take(ct(1))
    take(state(f"{SERIES}.1", **INVERSE))
    answer = get(portal, f"{STATE}/{what}")
    assert answer["X-Picture-Instance"] == f"{SERIES}.1"
    assert answer["X-Picture-State"] == f"{OTHERS}.1"
    assert shades(answer).shape == (16, 16)


def test_an_image_is_seen_through_a_state(take, portal):
    take(ct(1))
    take(state(f"{SERIES}.1", **INVERSE))
    asked = {"window": "100,4000"}
    plain = shades(get(portal, f"{INSTANCE}/rendered", "image/png", **asked))
    asked["presentation"] = f"{OTHERS}.1"
    through = shades(get(portal, f"{INSTANCE}/rendered", "image/png", **asked))
    assert not np.array_equal(plain, through)
    by_itself = get(portal, f"{STATE}/rendered", "image/png", window="100,4000")
    assert np.array_equal(shades(by_itself), through)


def test_the_frames_of_a_state_are_those_of_its_images_in_its_order(take, portal):
    take(three_frames())
    second = ct(2)
    second.PixelData = bytes(512)
    take(second)
    take(state(f"{SERIES}.1@3,1", f"{SERIES}.2", f"{SERIES}.1@2"))
    found = [get(portal, f"{STATE}/frames/{number}/rendered") for number in (1, 2, 3, 4)]
    shown = [(answer["X-Picture-Instance"][-1], answer["X-Picture-Frame"]) for answer in found]
    assert shown == [("1", "3"), ("1", "1"), ("2", "1"), ("1", "2")]
    require_problem(get(portal, f"{STATE}/frames/5/rendered"), 404)


def test_a_state_that_does_not_fit_is_refused_clearly(take, portal):
    take(ct(1))
    take(state("1.2.3.4.5"))
    asked = {"presentation": f"{OTHERS}.1"}
    assert "not for this image" in require_problem(
        get(portal, f"{INSTANCE}/rendered", **asked), 400
    )
    require_problem(get(portal, f"{STATE}/rendered"), 404)
    none = {"presentation": "1.2.3.4"}
    require_problem(get(portal, f"{INSTANCE}/rendered", **none), 404)
    image = {"presentation": f"{SERIES}.1"}
    require_problem(get(portal, f"{INSTANCE}/rendered", **image), 400)


def test_colour_states_are_406(take, portal):
    take(ct(1))
    take(state(f"{SERIES}.1", SOPClassUID="1.2.840.10008.5.1.4.1.1.11.2"))
    require_problem(get(portal, f"{STATE}/rendered"), 406)
    asked = {"presentation": f"{OTHERS}.1"}
    require_problem(get(portal, f"{INSTANCE}/rendered", **asked), 406)


def test_a_state_of_an_evicted_image_is_503(take, portal, layout):
    take(ct(1))
    take(state(f"{SERIES}.1"))
    put_away(layout, f"{SERIES}.1")
    require_problem(get(portal, f"{STATE}/rendered"), 503)


@pytest.mark.parametrize(
    ("sop_class", "word"),
    [("1.2.840.10008.5.1.4.1.1.88.59", "key object"), ("1.2.840.10008.5.1.4.1.1.88.33", "report")],
)
@pytest.mark.parametrize("what", ["rendered", "thumbnail"])
def test_what_is_no_image_is_406_and_says_what_it_is(take, portal, sop_class, word, what):
    take(ct(1, SOPClassUID=sop_class, Modality="SR", **NO_IMAGE))
    assert word in require_problem(get(portal, f"{INSTANCE}/{what}"), 406)


PDF = b"%PDF-1.4 a small document of odd length"


def document(media_type: str = "application/pdf", content: bytes = PDF) -> Dataset:
    ds = ct(1, SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC", **NO_IMAGE)
    ds.MIMETypeOfEncapsulatedDocument = media_type
    ds.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    ds.EncapsulatedDocumentLength = len(content)
    return ds


@pytest.mark.parametrize("media_type", ["application/pdf", "text/xml", "model/stl"])
def test_a_document_is_sent_as_it_is(take, portal, media_type):
    take(document(media_type))
    for accept in ("*/*", media_type):
        answer = get(portal, f"{INSTANCE}/rendered", accept)
        assert (answer.status_code, answer["Content-Type"]) == (200, media_type)
        assert whole(answer) == PDF
        assert "private" in answer["Cache-Control"]
    require_problem(get(portal, f"{INSTANCE}/rendered", "image/jpeg"), 406)
    require_problem(get(portal, f"{INSTANCE}/thumbnail"), 406)
    part = portal.get(f"{INSTANCE}/rendered", headers={"Range": "bytes=0-3"})
    assert (part.status_code, whole(part)) == (206, PDF[:4])
    known = portal.get(f"{INSTANCE}/rendered", headers={"If-None-Match": part["ETag"]})
    assert known.status_code == 304


def test_a_document_whose_type_could_break_out_of_its_header_is_octets(take, portal):
    take(document("text/html; charset=x\r\nX-Evil: 1"))
    answer = get(portal, f"{INSTANCE}/rendered")
    assert answer["Content-Type"] == "application/octet-stream"
    assert "X-Evil" not in answer


def test_a_document_without_a_document_is_406(take, portal):
    ds = document()
    del ds.EncapsulatedDocument
    take(ds)
    require_problem(get(portal, f"{INSTANCE}/rendered"), 406)


def film(content: bytes, fragments: int = 3) -> Dataset:
    size = -(-len(content) // fragments)
    size += size % 2
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    ds = ct(1, SamplesPerPixel=3, BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=25)
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "YBR_PARTIAL_420", 0
    ds.PixelData = encapsulate(pieces, has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40


def test_a_film_is_sent_as_it_is_whole_or_in_ranges(take, portal):
    take(film(FILM), MPEG_4)
    answer = get(portal, f"{INSTANCE}/rendered")
    assert (answer.status_code, answer["Content-Type"]) == (200, "video/mp4")
    assert whole(answer) == FILM
    for text, expected in (
        ("bytes=0-", FILM),
        ("bytes=3400-7000", FILM[3400:7001]),
        ("bytes=-5", FILM[-5:]),
    ):
        part = portal.get(f"{INSTANCE}/rendered", headers={"Range": text})
        assert (part.status_code, whole(part)) == (206, expected)
        assert part["Content-Range"].endswith(f"/{len(FILM)}")
    require_problem(get(portal, f"{INSTANCE}/rendered", "image/png"), 406)
    require_problem(get(portal, f"{INSTANCE}/thumbnail"), 406)


@pytest.mark.parametrize(
    ("syntax", "first", "media_type"),
    [
        ("1.2.840.10008.1.2.4.100", b"\0\0\x01\xba", "video/mpeg"),
        (MPEG_4, b"G\0", "video/mp2t"),
        ("1.2.840.10008.1.2.4.107", b"\0\0\0\x20ftypisom", "video/mp4"),
    ],
)
def test_a_film_has_the_media_type_of_its_container(take, portal, syntax, first, media_type):
    take(film(first + bytes(1000), 1), syntax)
    answer = get(portal, f"{INSTANCE}/rendered")
    assert answer["Content-Type"] == media_type
    assert whole(answer) == first + bytes(1000)


def test_a_film_without_content_is_406(take, portal):
    ds = film(FILM)
    ds.PixelData = b""
    ds["PixelData"].is_undefined_length = False
    take(ds, MPEG_4)
    require_problem(get(portal, f"{INSTANCE}/rendered"), 406)


def test_a_film_whose_file_is_cut_off_is_a_fault_of_the_node(take, portal, layout):
    take(film(FILM), MPEG_4)
    row = Instance.objects.get()
    path = layout.object(row.hour, row.uid)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-100])
    assert "damaged" in require_problem(get(portal, f"{INSTANCE}/rendered"), 500)
