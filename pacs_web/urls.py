"""The portal's addresses; UIDs in them are checked before a view sees them."""

from __future__ import annotations

from django.urls import path, register_converter

from pacs_common.errors import BadInput
from pacs_common.uids import Uid
from pacs_web import pages
from pacs_web.accounts.views import Login, Logout, introspect
from pacs_web.archive.recall import recall
from pacs_web.archive.views import archive, live, retry
from pacs_web.audit.views import audit
from pacs_web.nodes.views import servers
from pacs_web.studies.dicomweb import dicomweb
from pacs_web.studies.download import download
from pacs_web.studies.views import search, study
from pacs_web.viewer.pixels import rendered, thumbnail
from pacs_web.viewer.views import header, image, series


class UidConverter:
    """A path-safe DICOM UID."""

    regex = "[0-9.]{1,64}"

    def to_python(self, value: str) -> Uid:
        """Return the UID; ValueError (so 404) where it is not one."""
        try:
            return Uid.parse(value)
        except BadInput as error:
            raise ValueError(str(error)) from None

    def to_url(self, value: str) -> str:
        """Return the UID as it stands in an address."""
        return str(value)


register_converter(UidConverter, "uid")

STUDY = "studies/<uid:study_uid>/"
SERIES = f"{STUDY}series/<uid:series_uid>/"
INSTANCE = f"{SERIES}instances/<uid:instance_uid>/"

urlpatterns = [
    path("", search, name="search"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", Logout.as_view(), name="logout"),
    path("servers/", servers, name="servers"),
    path("archive/", archive, name="archive"),
    path("archive/live/", live, name="archive-live"),
    path("archive/jobs/<int:job_id>/retry/", retry, name="archive-retry"),
    path("audit/", audit, name="audit"),
    path(STUDY, study, name="study"),
    path(f"{STUDY}download/", download, name="study-download"),
    path(f"{STUDY}recall/", recall, name="study-recall"),
    path(SERIES, series, name="series"),
    path(f"{SERIES}download/", download, name="series-download"),
    path(f"{SERIES}thumbnail", thumbnail, name="series-thumbnail"),
    path(INSTANCE, image, name="image"),
    path(f"{INSTANCE}header/", header, name="header"),
    path(f"{INSTANCE}download/", download, name="image-download"),
    path(f"{INSTANCE}thumbnail", thumbnail, name="image-thumbnail"),
    path(f"{INSTANCE}rendered", rendered, name="rendered"),
    path(f"{INSTANCE}frames/<int:frame>/rendered", rendered, name="frame-rendered"),
    path("dicom-web/<path:path>", dicomweb, name="dicomweb"),
    path("api/introspect", introspect, name="introspect"),
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
    path("metrics", pages.metrics, name="metrics"),
]

handler403 = pages.forbidden
handler404 = pages.not_found
handler500 = pages.broken
