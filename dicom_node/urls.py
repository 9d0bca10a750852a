"""The node's HTTP door: DICOMweb for images, the archive's custody, and health."""

from django.urls import path

from dicom_node.api import custody, header, health
from dicom_node.dicomweb import frames, qido, rendered, wado

STUDY = "dicom-web/studies/<str:study_uid>"
SERIES = f"{STUDY}/series/<str:series_uid>"
INSTANCE = f"{SERIES}/instances/<str:sop_uid>"
FRAMES = f"{INSTANCE}/frames/<str:numbers>"

urlpatterns = [
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.metrics),
    path("api/node", health.account),
    path("api/instances/<str:sop_uid>/header", header.header),
    path("api/custody/studies", custody.studies),
    path("api/custody/studies/<str:study_uid>", custody.study),
    path("api/custody/studies/<str:study_uid>/instances/<str:sop_uid>", custody.instance),
    path("api/custody/evictions", custody.evictions),
    path("api/custody/recall-requests", custody.recall_requests),
    path("dicom-web/studies", qido.studies),
    path("dicom-web/series", qido.series),
    path("dicom-web/instances", qido.instances),
    path(f"{STUDY}/series", qido.series),
    path(f"{STUDY}/instances", qido.instances),
    path(f"{SERIES}/instances", qido.instances),
    *(path(address, wado.objects) for address in (STUDY, SERIES, INSTANCE)),
    *(path(f"{address}/metadata", wado.metadata) for address in (STUDY, SERIES, INSTANCE)),
    path(FRAMES, frames.frames),
    *(
        path(f"{address}/rendered", rendered.picture)
        for address in (STUDY, SERIES, INSTANCE, FRAMES)
    ),
    *(
        path(f"{address}/thumbnail", rendered.small_picture)
        for address in (STUDY, SERIES, INSTANCE, FRAMES)
    ),
]

handler400 = "dicom_node.api.guard.bad_request"
handler404 = "dicom_node.api.guard.not_found"
handler500 = "dicom_node.api.guard.server_error"
