"""Pictures of stored images, kept once made: rendered frames and thumbnails."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from dicom_node.models import Instance
from dicom_node.overlay.chain import revision_of
from dicom_node.prepared.images import opened
from dicom_node.prepared.kept import PICTURES
from dicom_node.prepared.objects import object_of
from dicom_node.prepared.spans import Measured, span_for
from dicom_node.render.encodings import MEDIA_TYPES
from dicom_node.render.pixels import frame_count
from dicom_node.render.presentation import PresentationState
from dicom_node.render.rendition import (
    THUMBNAIL_QUALITY,
    Picture,
    RenderOptions,
    names_no_window,
    picture,
)
from dicom_node.render.windows import Window
from pacs_common.errors import CannotRender

THUMBNAIL_SIDE = 128
REVISION = "2"  # of how pictures are made: another one makes all of them anew
_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
Facts = dict[str, str]  # headers that an answer with the picture carries


@dataclass(frozen=True)
class Made:
    """A picture as a file, and what is told of it."""

    content: bytes
    facts: Facts
    media_type: str
    lasts: bool = True
    """False where its window was measured without a damaged file: it is not kept."""

    def packed(self) -> bytes:
        """Return it as one piece, to be kept."""
        head = json.dumps([self.media_type, self.facts]).encode()
        return len(head).to_bytes(4, "big") + head + self.content

    @classmethod
    def unpacked(cls, kept: bytes) -> Made:
        """Return what `packed` made."""
        end = 4 + int.from_bytes(kept[:4], "big")
        media_type, facts = json.loads(kept[4:end])
        return cls(kept[end:], facts, media_type)


@dataclass(frozen=True)
class Wanted:
    """One picture: a frame (number from 1) of an image, how, and through which state."""

    instance: Instance
    number: int | None
    """None: the first frame of a rendered picture, the middle one of a thumbnail."""
    options: RenderOptions
    state: Instance | None = None
    small: bool = False

    @property
    def key(self) -> str:
        """What the picture depends on: the same key, the same bytes."""
        images = self.instance.series.instance_count if self._may_span else 0
        state = self.state.received_sha256 if self.state else ""
        how = f"{self.number}/{self.options}/{self.small}/{images}/{state}"
        source = self.instance.received_sha256 + revision_of(self.instance.series.study.overlay)
        return f"picture/{REVISION}/{source}/{how}"

    @property
    def _may_span(self) -> bool:
        """Whether the other images of the series may decide on the window."""
        named = self.instance.shown.get("WindowCenter")
        return self.options.window is None and self.state is None and not named

    def made(self) -> Made:
        """Return the picture, made now or earlier.

        Raises CannotRender with the reason, NotFound beyond the last frame, NotOnline, BadInput.
        """
        _require_image(self.instance)
        return kept_or_made(self.key, self._make)

    def _make(self) -> Made:
        index = self._index()
        source = opened(self.instance, index)
        span, lasts = self._span(source.ds, index)
        options = replace(self.options, span=span)
        state = None
        if self.state is not None:
            state = PresentationState.of(object_of(self.state), self.instance.uid, index)
        shown = picture(source.ds, index, options, state, source.frame)
        facts = self._facts(index, shown)
        return Made(shown.file(options), facts, MEDIA_TYPES[options.format], lasts)

    def _index(self) -> int:
        if self.number is not None:
            return self.number - 1
        return frame_count(object_of(self.instance)) // 2 if self._takes_the_middle else 0

    @property
    def _takes_the_middle(self) -> bool:
        return self.small and (self.instance.frames or 1) > 1

    def _span(self, ds: Dataset, index: int) -> Measured:
        if not self._may_span or not names_no_window(ds, index):
            return Measured(None)
        return span_for(self.instance)

    def _facts(self, index: int, shown: Picture) -> Facts:
        facts = {
            "X-Picture-Instance": self.instance.uid,
            "X-Picture-Frame": str(index + 1),
            "X-Picture-Size": "{},{}".format(*shown.size),
            "X-Picture-Source": "{},{}".format(*shown.source),
        }
        if shown.window is not None:
            facts["X-Picture-Window"] = _window_text(shown.window)
        if shown.is_lossy_as(self.options.format):
            facts["X-Picture-Lossy"] = "1"
        if self.state is not None:
            facts["X-Picture-State"] = self.state.uid
        return facts


def kept_or_made(key: str, make: Callable[[], Made]) -> Made:
    """Return the picture kept under `key`, or that of `make()`, which is kept where it lasts."""
    kept = PICTURES.find(key)
    if kept is not None:
        return Made.unpacked(kept)
    made = make()
    if made.lasts:
        PICTURES.put(key, made.packed())
    return made


def thumbnail_wanted(
    instance: Instance,
    number: int | None = None,
    size: tuple[int, int] = (THUMBNAIL_SIDE, THUMBNAIL_SIDE),
    state: Instance | None = None,
) -> Wanted:
    """Return the thumbnail of an image: without overlays, which nobody could read."""
    options = RenderOptions(viewport=size, quality=THUMBNAIL_QUALITY, overlays=False)
    return Wanted(instance, number, options, state, small=True)


def _window_text(window: Window) -> str:
    return f"{window.center:.10g},{window.width:.10g},{window.function}"


def _require_image(instance: Instance) -> None:
    """Raise CannotRender, which says what the object is, where it never has a picture."""
    if instance.sop_class == _KEY_OBJECTS:
        raise CannotRender("this is a key object selection, a list of images: ask for one of them")
    if instance.sop_class.startswith(_REPORTS):
        raise CannotRender("this is a structured report: its content is in its metadata")
