"""What is made of a study once it is quiet, in the order in which it is missed most."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from dicom_node.config import CONFIG, Keeping
from dicom_node.models import Preparation, Study
from dicom_node.prepared import at_rest, metadata, thumbnails
from dicom_node.prepared.kept import FRAMES
from dicom_node.prepared.study_frames import Saving, images_of, keep_lossless, map_frames
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
NEW = timedelta(days=1)


def prepare(
    study: Study, goes_on: Callable[[], bool], keeping: Keeping = CONFIG.renditions
) -> bool:
    """Prepare a study, or the rest of it after an interruption; false where it was interrupted.

    Where the cache is full, an old study (of an index made anew, say) displaces nothing there.
    """
    saving = Saving()
    if keeping is Keeping.AT_REST and not at_rest.compress_study(study, saving, goes_on):
        return False
    thumbnails.prepare(study, goes_on)
    _prepare_metadata(study)
    is_new = timezone.now() - study.last_arrival_at < NEW
    for image in images_of(study):
        if not goes_on():
            return False
        map_ = map_frames(image)
        if map_ is not None and keeping is Keeping.CACHE and (is_new or FRAMES.has_room()):
            keep_lossless(image, map_, saving, goes_on)
    Preparation.objects.update_or_create(study=study, defaults=vars(saving))
    return goes_on()


def _prepare_metadata(study: Study) -> None:
    try:
        metadata.prepare(study)
    except ArgensError as error:  # of one object, which may not keep the frames of others waiting
        LOG.warning("no metadata prepared: %s", error, extra={"study_uid": study.uid})
