"""The addresses of studies, series and instances below a DICOMweb service (PS3.18 10.1.1)."""

from __future__ import annotations


def resource_path(study_uid: str, series_uid: str = "", instance_uid: str = "") -> str:
    """Return the path of a study, of a series of it or of an instance of that, without slashes."""
    named = {"studies": study_uid, "series": series_uid, "instances": instance_uid}
    return "/".join(f"{kind}/{uid}" for kind, uid in named.items() if uid)
