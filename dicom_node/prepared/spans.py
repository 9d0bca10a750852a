"""The values that a series spans, for images that name no window.

One window over a whole series, so that scrolling through it does not flicker: with a scale for
each slice (PT, MR) every slice would otherwise have a brightness of its own. Projections of one
series have little to do with each other: each has its own span.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from dicom_node.models import Instance
from dicom_node.prepared.kept import PICTURES
from dicom_node.prepared.objects import object_of
from dicom_node.render.image_format import ImageFormat
from dicom_node.render.pixels import stored_frame
from dicom_node.render.rendition import span_of
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError, CannotRender

SAMPLES = 9  # frames of a series that are looked at
_ALONE = ("CR", "DX", "IO", "MG", "PX", "RG", "XC")
One = TypeVar("One")
Span = tuple[float, float]  # least and greatest modality value


class Measured(NamedTuple):
    """A span, None where nothing can be read, and whether it lasts as long as the series does.

    One that was measured without a damaged file is another when that file is back.
    """

    span: Span | None
    lasts: bool = True


def span_for(instance: Instance) -> Measured:
    """Return the span of an image's series (or of its frames)."""
    series = instance.series
    if series.modality in _ALONE:
        key, found = f"{instance.received_sha256}", [instance]
    else:
        images = series.instances.filter(availability=Availability.ONLINE, rows__gt=0)
        found = list(images.order_by("number", "uid"))
        key = f"{series.uid}/{len(found)}/{max((one.id for one in found), default=0)}"
    kept = PICTURES.find(f"span/{key}")
    if kept is not None:
        ends = json.loads(kept)
        return Measured((ends[0], ends[1]) if ends else None)
    measured = _measured(found)
    if measured.lasts:
        PICTURES.put(f"span/{key}", json.dumps(measured.span).encode())
    return measured


def _measured(found: list[Instance]) -> Measured:
    """Measure frames that are spread evenly over the images."""
    spans, lasts = [], True
    for instance in _spread(found, SAMPLES):
        try:
            ds = object_of(instance)
            frames = range(ImageFormat.of(ds).frames)
            for index in _spread(frames, max(1, SAMPLES // len(found))):
                spans.append(span_of(ds, stored_frame(ds, index), index))
        except CannotRender:
            continue  # the others tell enough
        except ArgensError:
            lasts = False
    lows, highs = zip(*spans, strict=True) if spans else ((), ())
    return Measured((min(lows), max(highs)) if spans else None, lasts)


def _spread(every: Sequence[One], most: int) -> Sequence[One]:
    """Return at most `most` of a sequence: its first, its last and evenly between them."""
    count = len(every)
    if count <= most:
        return every
    if most == 1:
        return [every[count // 2]]
    return [every[round(place * (count - 1) / (most - 1))] for place in range(most)]
