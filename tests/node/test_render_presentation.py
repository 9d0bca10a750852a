"""Presentation states, shutters, overlays and annotations on pictures."""

import io
import math
import subprocess

import numpy as np
import pytest
from PIL import Image

from dicom_node.render.pixels import stored_frame
from dicom_node.render.placement import Placement, Region
from dicom_node.render.presentation import PresentationState, references
from dicom_node.render.rendition import RenderOptions, picture
from pacs_common.errors import BadInput, CannotRender, NotAcceptable
from tests.node.presentation_states import FLAT, GRADIENT, item, plane, shown, state_of
from tests.node.render_images import SHARED, image, ramp, read
from tests.support.services import require

OFFIS = SHARED / "pr-hp-odd/nroduit+weasis-dicom-tools/weasis-dicom-tools/src/test/resources"
needs_files = pytest.mark.skipif(not OFFIS.is_dir(), reason="../shared/dicom is not here")


def window(center, width, **more):
    return [item(WindowCenter=str(center), WindowWidth=str(width), **more)]


def test_the_windows_of_the_state_replace_those_of_the_image():
    ds = image(GRADIENT, **FLAT)
    state = state_of(SoftcopyVOILUTSequence=window(10.5, 21))
    assert shown(ds, state)[0, :3].tolist() == [0, 13, 26]
    assert shown(ds, state).max() == 255
    assert shown(ds, state, window=(128, 256, None)).tolist() == GRADIENT[0].tolist()


def test_without_a_window_in_the_state_the_whole_range_is_shown_whatever_the_image_says():
    ds = image(GRADIENT, WindowCenter="5", WindowWidth="2")
    assert shown(ds, state_of()).tolist() == GRADIENT[0].tolist()


def test_an_item_of_the_state_holds_for_its_own_frames_alone():
    ds = image(np.concatenate([GRADIENT, GRADIENT]))
    second = item(ReferencedSOPInstanceUID="1.2.3", ReferencedFrameNumber=[2])
    voi = window(0.5, 1, ReferencedImageSequence=[second])
    state = state_of(SoftcopyVOILUTSequence=voi)
    assert shown(ds, state, 0).tolist() == GRADIENT[0].tolist()
    assert set(shown(ds, state, 1).ravel().tolist()) == {0, 255}


def test_the_polarity_of_the_image_does_not_count_beside_a_state():
    ds = image(GRADIENT, photometric="MONOCHROME1", **FLAT)
    assert shown(ds, state_of()).tolist() == GRADIENT[0].tolist()
    inverse = state_of(PresentationLUTShape="INVERSE")
    assert shown(ds, inverse).tolist() == (255 - GRADIENT[0]).tolist()


@needs_files
@pytest.mark.parametrize(
    ("name", "state"), [("imageForPrLUTs.dcm", "prLUTs.dcm"), ("overlay.dcm", "prOverlay.dcm")]
)
def test_three_tables_in_a_row_give_what_dcmtk_gives(tmp_path, name, state):
    image_path, state_path = (OFFIS / "org/dcm4che3/img" / one for one in (name, state))
    target = tmp_path / "theirs.pgm"
    command = [require("dcmp2pgm"), "--pstate", str(state_path), str(image_path), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    ds = read(image_path)
    applied = PresentationState.of(read(state_path), ds.SOPInstanceUID, 0)
    masks = [mask for mask, _shade in applied.overlays(ds, stored_frame(ds, 0))]
    ours = picture(ds, 0, RenderOptions(), applied).shades.astype(int)
    theirs = np.asarray(Image.open(target)).astype(int)
    plain = ~np.any(masks, axis=0) if masks else np.ones(ours.shape, bool)
    assert np.abs(ours - theirs)[plain].max() <= 1
    assert len(masks) == (6 if "Overlay" in state else 0)  # DCMTK leaves them to the display
    assert all((ours[mask] == 255).all() for mask in masks)


@pytest.mark.parametrize(
    ("attributes", "corner"),
    [
        ({}, (0, 0)),
        ({"ImageRotation": 90}, (0, -1)),  # the first pixel goes to the top right
        ({"ImageRotation": 180}, (-1, -1)),
        ({"ImageRotation": 270}, (-1, 0)),
        ({"ImageHorizontalFlip": "Y"}, (0, -1)),
        ({"ImageRotation": 90, "ImageHorizontalFlip": "Y"}, (0, 0)),  # turned first
    ],
)
def test_the_image_is_turned_and_then_mirrored(attributes, corner):
    frames = np.zeros((1, 4, 6), np.uint8)
    frames[0, 0, 0] = 255
    picture_ = shown(image(frames), state_of(**attributes))
    assert picture_.shape == ((6, 4) if attributes.get("ImageRotation") in (90, 270) else (4, 6))
    assert picture_[corner] == 255
    assert picture_.astype(int).sum() == 255


def area(left, top, right, bottom, mode="SCALE TO FIT", **more):
    return {
        "DisplayedAreaSelectionSequence": [
            item(
                DisplayedAreaTopLeftHandCorner=[left, top],
                DisplayedAreaBottomRightHandCorner=[right, bottom],
                PresentationSizeMode=mode,
                PresentationPixelAspectRatio=[1, 1],
                **more,
            )
        ]
    }


def test_the_displayed_area_is_cut_out_and_what_lies_beyond_is_black():
    ds = image(GRADIENT)
    assert shown(ds, state_of(**area(3, 2, 6, 4))).tolist() == GRADIENT[0, 1:4, 2:6].tolist()
    beyond = shown(ds, state_of(**area(-1, 0, 16, 16)))
    assert beyond.shape == (17, 18)
    assert beyond[:1].max() == beyond[:, :2].max() == 0
    assert beyond[1:, 2:].tolist() == GRADIENT[0].tolist()


def test_a_displayed_area_of_a_turned_image_names_its_corners_in_the_image():
    turned = state_of(ImageRotation=90, **area(3, 4, 6, 2))
    expected = np.rot90(GRADIENT[0, 1:4, 2:6], -1)
    assert shown(image(GRADIENT), turned).tolist() == expected.tolist()


def test_a_magnified_area_is_enlarged_within_reason():
    magnified = {"PresentationPixelMagnificationRatio": 3.0}
    state = state_of(**area(1, 1, 4, 4, "MAGNIFY", **magnified))
    assert shown(image(GRADIENT), state).shape == (12, 12)
    wild = state_of(**area(1, 1, 4, 4, "MAGNIFY", PresentationPixelMagnificationRatio=1e9))
    assert shown(image(GRADIENT), wild).shape == (64, 64)


def test_a_displayed_area_of_a_million_pixels_a_side_is_refused():
    with pytest.raises(CannotRender, match="displayed area"):
        shown(image(GRADIENT), state_of(**area(1, 1, 2**30, 2**30)))


WHITE = image(np.full((1, 20, 20), 255, np.uint8), **FLAT)


@pytest.mark.parametrize(
    ("shutter", "open_pixels"),
    [
        (
            {
                "ShutterShape": "RECTANGULAR",
                "ShutterLeftVerticalEdge": 3,
                "ShutterRightVerticalEdge": 6,
                "ShutterUpperHorizontalEdge": 2,
                "ShutterLowerHorizontalEdge": 4,
            },
            12,
        ),
        (
            {
                "ShutterShape": "CIRCULAR",
                "CenterOfCircularShutter": [10, 10],
                "RadiusOfCircularShutter": 5,
            },
            81,
        ),
        (
            {
                "ShutterShape": "POLYGONAL",
                "VerticesOfThePolygonalShutter": [5, 5, 5, 10, 10, 10, 10, 5],
            },
            36,
        ),
    ],
)
def test_a_shutter_leaves_its_shape_open(shutter, open_pixels):
    covered = shown(WHITE, state_of(ShutterPresentationValue=0x8080, **shutter))
    assert (covered == 255).sum() == open_pixels
    assert set(covered.ravel().tolist()) == {255, 128}
    of_the_image = image(np.full((1, 20, 20), 255, np.uint8), **FLAT, **shutter)
    assert (picture(of_the_image, 0, RenderOptions()).shades == 255).sum() == open_pixels


def test_several_shutters_each_cover_their_part():
    both = state_of(
        ShutterShape=["RECTANGULAR", "CIRCULAR"],
        ShutterLeftVerticalEdge=11,
        ShutterRightVerticalEdge=20,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=20,
        CenterOfCircularShutter=[10, 10],
        RadiusOfCircularShutter=5,
    )
    assert (shown(WHITE, both) == 255).sum() == 35  # of the circle what lies right of its center


def test_a_bitmap_shutter_covers_where_its_overlay_is_set():
    mask = np.zeros((20, 20), bool)
    mask[:5] = True
    state = plane(state_of(ShutterShape="BITMAP", ShutterOverlayGroup=0x6000), 0x6000, mask)
    state.ShutterPresentationValue = 0
    covered = shown(WHITE, state)
    assert (covered == 0).tolist() == mask.tolist()


def test_a_state_of_another_image_or_frame_is_refused():
    state = state_of()
    with pytest.raises(BadInput, match="not for this image"):
        PresentationState.of(state, "1.2.4", 0)
    state.ReferencedSeriesSequence[0].ReferencedImageSequence[0].ReferencedFrameNumber = [2, 3]
    assert PresentationState.of(state, "1.2.3", 1).frame_number == 2
    with pytest.raises(BadInput, match="not for this image or frame"):
        PresentationState.of(state, "1.2.3", 0)


@pytest.mark.parametrize("last", [2, 3, 4, 5, 8])
def test_states_of_other_kinds_are_refused(last):
    state = state_of()
    state.SOPClassUID = f"1.2.840.10008.5.1.4.1.1.11.{last}"
    with pytest.raises(NotAcceptable, match="grayscale softcopy"):
        references(state)


def test_a_grayscale_state_does_not_fit_colours():
    ds = image(np.zeros((1, 4, 4, 3), np.uint8), photometric="RGB")
    with pytest.raises(CannotRender, match="colour"):
        shown(ds, state_of())


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (Region(2, 1, 4, 3), GRADIENT[0, 1:4, 2:6]),
        (Region(2, 1, -4, 3), GRADIENT[0, 1:4, 2:6][:, ::-1]),
        (Region(None, None, None, -16), GRADIENT[0][::-1]),
        (Region(14, 14, 9, 9), GRADIENT[0, 14:, 14:]),
        (Region(10, None, None, None), GRADIENT[0, :, 10:]),
    ],
)
def test_a_region_is_cut_out_and_a_negative_size_flips_it(region, expected):
    options = RenderOptions(window=(128, 256, None), viewport=(16, 16), region=region)
    assert picture(image(GRADIENT), 0, options).shades.tolist() == expected.tolist()


def test_a_region_outside_the_image_is_refused():
    with pytest.raises(BadInput, match="outside"):
        picture(image(GRADIENT), 0, RenderOptions(viewport=(4, 4), region=Region(16, 0, 3, 3)))


def test_nothing_is_written_on_a_picture_unless_it_is_asked_for():
    said = {"PatientName": "Lefèvre^Anaïs", "PatientID": "7", "KVP": "120", "Modality": "CT"}
    ds = image(np.zeros((1, 200, 300), np.uint8), **FLAT, **said)
    assert picture(ds, 0, RenderOptions()).shades.max() == 0
    patient = picture(ds, 0, RenderOptions(annotation=("patient",))).shades
    technique = picture(ds, 0, RenderOptions(annotation=("technique",))).shades
    assert patient[:60].max() > 200
    assert patient[100:].max() == 0
    assert technique[:80].max() == 0
    assert technique[140:].max() > 200
    other = image(np.zeros((1, 200, 300), np.uint8), **FLAT, **said | {"PatientName": "Lefevre^A"})
    without_accent = picture(other, 0, RenderOptions(annotation=("patient",))).shades
    assert not np.array_equal(patient, without_accent)


def test_points_follow_the_pixels_wherever_a_placement_puts_them():
    for turns in range(4):
        for mirrored in (False, True):
            turned = (6, 9) if turns % 2 else (9, 6)
            placement = Placement(9, 6, (0, 0, *turned), turned, turns, mirrored)
            grid = np.zeros((6, 9), np.uint8)
            grid[1, 7] = 200
            ((y, x),) = np.argwhere(placement.finished(placement.cut(grid)))
            found = placement.point(7.5, 1.5)
            assert math.dist(found, (x + 0.5, y + 0.5)) < 1e-9


def test_a_gif_of_shades_is_exact():
    ds = image(ramp((1, 16, 16), np.uint8, 0, 255), **FLAT)
    made = picture(ds, 0, RenderOptions(format="gif"))
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(made.file(RenderOptions(format="gif")))).convert("L")),
        made.shades,
    )
