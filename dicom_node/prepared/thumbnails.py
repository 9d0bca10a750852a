"""Thumbnails before anybody asks: of the image that stands for a series, or for its study."""

from __future__ import annotations

from collections.abc import Callable

from dicom_node.models import Instance, Series, Study
from dicom_node.prepared.pictures import thumbnail_wanted
from pacs_common.availability import Availability
from pacs_common.errors import ArgensError


def prepare(study: Study, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Keep the thumbnail of the middle image of each series; a series without images has none."""
    for series in Series.objects.filter(study=study).order_by("number", "uid"):
        image = _middle(series)
        if image is not None and goes_on():
            try:
                thumbnail_wanted(image).made()
            except ArgensError:  # not everything with rows can be shown: who asks is told why
                continue


def _middle(series: Series) -> Instance | None:
    images = Instance.objects.filter(series=series, rows__isnull=False).order_by("number", "uid")
    found = images.select_related("series__study")[images.count() // 2 :][:1]
    return next((image for image in found if image.availability == Availability.ONLINE), None)
