"""Overlays in a picture: where, on which frames, in which shade."""

import numpy as np

from dicom_node.render.rendition import RenderOptions, picture
from tests.node.presentation_states import FLAT, item, plane, shown, state_of
from tests.node.render_images import image

BLACK = np.zeros((3, 8, 8), np.uint8)
CROSS = np.eye(3, dtype=bool)


def test_overlays_of_an_image_are_drawn_where_their_origin_says():
    ds = plane(image(BLACK, **FLAT), 0x6002, CROSS, origin=[2, 4])
    drawn = picture(ds, 1, RenderOptions()).shades
    assert np.argwhere(drawn == 255).tolist() == [[1, 3], [2, 4], [3, 5]]
    beyond = plane(image(BLACK, **FLAT), 0x6000, CROSS, origin=[0, 7])
    assert np.argwhere(picture(beyond, 0, RenderOptions()).shades).tolist() == [[0, 7]]


def test_an_overlay_of_several_frames_lies_on_those_it_names():
    masks = np.stack([CROSS, ~CROSS])
    ds = plane(image(BLACK, **FLAT), 0x6000, masks, first=2)
    counts = [int((picture(ds, index, RenderOptions()).shades == 255).sum()) for index in range(3)]
    assert counts == [0, 3, 6]


def test_overlays_in_the_unused_bits_of_the_pixels_are_drawn():
    cells = np.full((1, 4, 4), 100, np.uint16)
    cells[0, 1, 2] |= 0x8000
    ds = image(cells, bits_stored=12, WindowCenter="100", WindowWidth="400")
    ds.add_new((0x6000, 0x0010), "US", 4)
    ds.add_new((0x6000, 0x0011), "US", 4)
    ds.add_new((0x6000, 0x0040), "CS", "G")
    ds.add_new((0x6000, 0x0100), "US", 16)
    ds.add_new((0x6000, 0x0102), "US", 15)
    assert np.argwhere(picture(ds, 0, RenderOptions()).shades == 255).tolist() == [[1, 2]]


def test_a_region_of_interest_is_drawn_as_its_outline():
    ds = plane(image(BLACK, **FLAT), 0x6000, np.ones((5, 5), bool), kind="R")
    drawn = picture(ds, 0, RenderOptions()).shades == 255
    assert drawn[:5, :5].sum() == 16
    assert not drawn[1:4, 1:4].any()


def test_a_state_shows_the_overlays_that_a_layer_activates_in_the_shade_of_the_layer():
    ds = plane(plane(image(BLACK, **FLAT), 0x6000, CROSS), 0x6002, CROSS, origin=[4, 4])
    layer = item(
        GraphicLayer="ONE", GraphicLayerOrder=1, GraphicLayerRecommendedDisplayGrayscaleValue=0x8080
    )
    state = state_of(GraphicLayerSequence=[layer])
    state.add_new((0x6002, 0x1001), "CS", "ONE")
    drawn = shown(ds, state)
    assert np.argwhere(drawn).tolist() == [[3, 3], [4, 4], [5, 5]]
    assert drawn.max() == 128
