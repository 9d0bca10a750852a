"""Images of several frames as one animated GIF (PS3.18 8.7.4: rendered multi-frame images)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from dicom_node.models import Instance
from dicom_node.overlay.chain import revision_of
from dicom_node.prepared.objects import object_of
from dicom_node.prepared.pictures import REVISION, Made, kept_or_made
from dicom_node.prepared.spans import Measured, span_for
from dicom_node.render.attributes import decimal
from dicom_node.render.encodings import MEDIA_TYPES, gif
from dicom_node.render.pixels import frame_count
from dicom_node.render.rendition import RenderOptions, names_no_window, picture
from pacs_common.errors import CannotRender

MAX_FRAMES = 300
MAX_PIXELS = 64 << 20  # of all frames as they are sent
_USUAL_S = 0.1


@dataclass(frozen=True)
class Moving:
    """All frames of an image, one after the other as fast as they were made."""

    instance: Instance
    options: RenderOptions

    @property
    def key(self) -> str:
        """What the picture depends on: the same key, the same bytes."""
        images = self.instance.series.instance_count
        overlay = revision_of(self.instance.series.study.overlay)
        source = f"{self.instance.received_sha256}{overlay}/{images}"
        return f"moving/{REVISION}/{source}/{self.options}"

    def made(self) -> Made:
        """Return the picture; raises CannotRender where it would be too large for a browser."""
        return kept_or_made(self.key, self._make)

    def _make(self) -> Made:
        ds = object_of(self.instance)
        count = frame_count(ds)
        if count > MAX_FRAMES:
            raise CannotRender(f"a GIF has at most {MAX_FRAMES} frames, the image has {count}")
        measured = span_for(self.instance) if names_no_window(ds, 0) else Measured(None)
        options = replace(self.options, span=measured.span)
        shown = []
        for index in range(count):
            shown.append(picture(ds, index, options))
            if shown[0].shades.size * count > MAX_PIXELS:
                raise CannotRender("the frames are too large for a GIF: ask for a smaller viewport")
        facts = {
            "X-Picture-Instance": self.instance.uid,
            "X-Picture-Size": "{},{}".format(*shown[0].size),
            "X-Picture-Source": "{},{}".format(*shown[0].source),
        }
        if shown[0].is_lossy_as("gif"):
            facts["X-Picture-Lossy"] = "1"
        content = gif([one.shades for one in shown], frame_s(ds))
        return Made(content, facts, MEDIA_TYPES["gif"], measured.lasts)


def frame_s(ds: Dataset) -> float:
    """Return for how long a frame is shown, in seconds (PS3.3 C.7.6.5): as said, or 0.1."""
    each_ms = decimal(ds, "FrameTime", 0.0)
    if each_ms <= 0:
        rate = decimal(ds, "RecommendedDisplayFrameRate", decimal(ds, "CineRate", 0.0))
        each_ms = 1000 / rate if rate > 0 else 0.0
    return min(each_ms / 1000, 10.0) if each_ms > 0 else _USUAL_S
