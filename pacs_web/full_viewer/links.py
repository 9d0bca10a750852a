"""Whether the full viewer can be opened, and at which address."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from pacs_web.full_viewer.release import ROOT, installed_release

COMPARE = "argensCompare"  # a hanging protocol of static/full_viewer/app-config.js


def installed() -> bool:
    """Return whether `install-viewer` has put the release that this version serves in place."""
    return installed_release() is not None


def address(
    study_uids: Sequence[str], series_uid: str | None = None, instance_uid: str | None = None
) -> str:
    """Return where the full viewer shows a study, or the first two of several side by side.

    With a series, and an image in it, the first viewport opens there.
    """
    asked = {"StudyInstanceUIDs": ",".join(study_uids)}
    if len(study_uids) > 1:
        asked["hangingProtocolId"] = COMPARE
    if series_uid:
        asked["initialSeriesInstanceUID"] = series_uid
    if instance_uid:
        asked["initialSopInstanceUID"] = instance_uid
    return f"{ROOT}viewer?{urlencode(asked, safe=',')}"
