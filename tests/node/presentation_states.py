"""Presentation states made in code, and an image as one shows it."""

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.render.presentation import GRAYSCALE_STATE, PresentationState
from dicom_node.render.rendition import RenderOptions, picture

FLAT = {"WindowCenter": "128", "WindowWidth": "256"}
GRADIENT = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)


def item(**values):
    """Return a data set of these attributes."""
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def state_of(**attributes):
    """Return a grayscale presentation state for the image 1.2.3."""
    reference = item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID="1.2.3")
    series = item(SeriesInstanceUID="1.2", ReferencedImageSequence=[reference])
    return item(
        SOPClassUID=GRAYSCALE_STATE,
        SOPInstanceUID="1.2.9",
        ReferencedSeriesSequence=[series],
        **attributes,
    )


def shown(ds, state, index=0, **options):
    """Return the shades of a frame under a state."""
    applied = PresentationState.of(state, "1.2.3", index)
    return picture(ds, index, RenderOptions(**options), applied).shades


def plane(ds, group, mask, kind="G", **elements):
    """Give a data set an overlay plane; returns it."""
    mask = np.asarray(mask)
    ds.add_new((group, 0x0010), "US", mask.shape[-2])
    ds.add_new((group, 0x0011), "US", mask.shape[-1])
    ds.add_new((group, 0x0040), "CS", kind)
    ds.add_new((group, 0x0050), "SS", elements.get("origin", [1, 1]))
    ds.add_new((group, 0x0100), "US", 1)
    ds.add_new((group, 0x0102), "US", 0)
    packed = np.packbits(mask.ravel().astype(bool), bitorder="little").tobytes()
    ds.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))
    if mask.ndim == 3:
        ds.add_new((group, 0x0015), "IS", str(mask.shape[0]))
        ds.add_new((group, 0x0051), "US", elements.get("first", 1))
    return ds
