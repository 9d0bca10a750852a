"""Graphics and texts that a presentation state draws."""

import numpy as np
import pytest

from pacs_common.errors import ArgensError
from tests.node.presentation_states import FLAT, item, shown, state_of
from tests.node.render_images import image


def annotation(*graphics, texts=(), layer="ONE"):
    return item(
        GraphicLayer=layer, GraphicObjectSequence=list(graphics), TextObjectSequence=list(texts)
    )


def graphic(kind, points, units="PIXEL", filled="N"):
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(points) // 2,
        GraphicData=points,
        GraphicType=kind,
        GraphicFilled=filled,
    )


LAYERS = [
    item(GraphicLayer="ONE", GraphicLayerOrder=1),
    item(
        GraphicLayer="TWO", GraphicLayerOrder=2, GraphicLayerRecommendedDisplayGrayscaleValue=0x4040
    ),
]
CANVAS = image(np.zeros((1, 100, 100), np.uint8), **FLAT)


def drawn_of(*annotations, ds=CANVAS, **more):
    state = state_of(GraphicLayerSequence=LAYERS, GraphicAnnotationSequence=list(annotations))
    for keyword, value in more.items():
        setattr(state, keyword, value)
    return shown(ds, state)


@pytest.mark.parametrize("units", ["PIXEL", "DISPLAY"])
def test_a_polyline_runs_through_its_points_in_either_unit(units):
    scale = 100 if units == "DISPLAY" else 1
    points = [10 / scale, 20 / scale, 60 / scale, 20 / scale, 60 / scale, 80 / scale]
    drawn = drawn_of(annotation(graphic("POLYLINE", points, units))) > 0
    ys, xs = np.nonzero(drawn)
    assert (xs.min(), ys.min()) == (10, 20)
    assert abs(xs.max() - 60) <= 1
    assert abs(ys.max() - 80) <= 1
    assert drawn[20, 11:59].all()
    assert not drawn[30:70, 20:50].any()


def test_circles_and_ellipses_have_their_size():
    for kind, points, box in (
        ("CIRCLE", [50, 50, 50, 30], (30, 30, 70, 70)),
        ("ELLIPSE", [20, 50, 80, 50, 50, 40, 50, 60], (20, 40, 80, 60)),
    ):
        ys, xs = np.nonzero(drawn_of(annotation(graphic(kind, points))))
        found = (xs.min(), ys.min(), xs.max(), ys.max())
        assert all(abs(a - b) <= 1 for a, b in zip(found, box, strict=True)), kind


def test_a_filled_graphic_is_filled_and_a_point_is_a_dot():
    square = [20, 20, 40, 20, 40, 40, 20, 40, 20, 20]
    filled = drawn_of(annotation(graphic("POLYLINE", square, filled="Y"))) > 0
    assert filled[21:40, 21:40].all()
    dot = np.argwhere(drawn_of(annotation(graphic("POINT", [70, 30]))))
    assert np.abs(dot.mean(axis=0) - (30, 70)).max() <= 1


def test_a_curve_passes_through_its_points():
    points = [10, 50, 30, 20, 60, 80, 90, 50]
    drawn = drawn_of(annotation(graphic("INTERPOLATED", points)))
    for x, y in zip(points[::2], points[1::2], strict=True):
        assert drawn[y - 1 : y + 2, x - 1 : x + 2].any()


def test_later_layers_lie_on_top():
    line = graphic("POLYLINE", [10, 50, 90, 50])
    over = drawn_of(annotation(line, layer="TWO"), annotation(line, layer="ONE"))
    assert over[50, 50] == 0x40


def test_pixel_graphics_turn_with_the_image_and_display_graphics_do_not():
    in_pixels = drawn_of(annotation(graphic("POINT", [10, 10])), ImageRotation=90)
    on_display = drawn_of(annotation(graphic("POINT", [0.1, 0.1], "DISPLAY")), ImageRotation=90)
    assert np.argwhere(in_pixels).mean(axis=0).round().tolist() == [10, 90]
    assert np.argwhere(on_display).mean(axis=0).round().tolist() == [10, 10]


def text_object(words, box=None, anchor=None, **more):
    ds = item(UnformattedTextValue=words, **more)
    if box:
        ds.BoundingBoxAnnotationUnits = "PIXEL"
        ds.BoundingBoxTopLeftHandCorner, ds.BoundingBoxBottomRightHandCorner = box[:2], box[2:]
    if anchor:
        ds.AnchorPointAnnotationUnits, ds.AnchorPoint = "PIXEL", anchor
    return ds


def test_a_text_stands_in_its_box_and_keeps_to_its_side():
    for side, place in (("LEFT", (5, 45)), ("RIGHT", (55, 95))):
        words = text_object("Lésion", [5, 40, 95, 60], BoundingBoxTextHorizontalJustification=side)
        ys, xs = np.nonzero(drawn_of(annotation(texts=[words])))
        assert ys.min() >= 38
        assert ys.max() <= 62
        assert place[0] - 2 <= xs.min() <= xs.max() <= place[1] + 2


def lettering(word):
    return drawn_of(annotation(texts=[text_object(word, [5, 5, 95, 40])]))


@pytest.mark.parametrize("letters", ["éèêëe", "çc", "œæ", "ßẞ", "Łł", "Ωω", "Жж"])
def test_letters_of_europe_are_drawn_and_not_boxes(letters):
    box = lettering("\U0010fffd")
    drawn = [lettering(letter) for letter in letters]
    assert not any(np.array_equal(box, one) for one in drawn)
    assert len({one.tobytes() for one in drawn}) == len(letters)


def test_a_visible_anchor_is_tied_to_its_text():
    box = [60, 60, 95, 80]
    tied = text_object("x", box, [10, 10], AnchorPointVisibility="Y")
    alone = text_object("x", box, [10, 10], AnchorPointVisibility="N")
    assert drawn_of(annotation(texts=[tied]))[10, 10] > 0
    assert drawn_of(annotation(texts=[alone]))[:40, :40].max() == 0


NONSENSE = [["nan", "1"], [1e300, -1e300, 1e300, 5], [], [1], [3, 3, 3, 3], [1e5 + 1, 0, 0, 0]]


@pytest.mark.parametrize("numbers", NONSENSE)
@pytest.mark.parametrize("kind", ["POINT", "POLYLINE", "INTERPOLATED", "CIRCLE", "ELLIPSE", "X"])
def test_graphics_without_sense_draw_nothing_bad(kind, numbers):
    broken = item(GraphicType=kind, GraphicAnnotationUnits="PIXEL")
    broken.add_new("GraphicData", "FL", [float(number) for number in numbers])
    try:
        assert drawn_of(annotation(broken)).shape == (100, 100)
    except ArgensError as error:
        assert "\n" not in str(error)
