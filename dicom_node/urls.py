"""The node's HTTP door: DICOMweb for images, the archive's custody, and health."""

from django.urls import path

from dicom_node.api import (
    arrivals,
    audit,
    chores,
    commitments,
    corrections,
    custody,
    figures,
    files,
    forwarding,
    header,
    health,
    keeping,
    log,
    peers,
    quarantine,
    rejections,
    restoring,
    scu,
)
from dicom_node.dicomweb import (
    bulkdata,
    capabilities,
    delete,
    frames,
    metadata,
    qido,
    rendered,
    stow,
    wado,
    wado_uri,
)
from dicom_node.dicomweb.methods import by_method
from dicom_node.rescue.addresses import addresses as rescue

STUDY = "dicom-web/studies/<str:study_uid>"
SERIES = f"{STUDY}/series/<str:series_uid>"
INSTANCE = f"{SERIES}/instances/<str:sop_uid>"
FRAMES = f"{INSTANCE}/frames/<str:numbers>"

urlpatterns = [
    # looked through from the top: what a viewer asks for most comes first
    path(FRAMES, by_method(GET=frames.frames)),
    *(
        path(f"{address}/rendered", by_method(GET=rendered.picture))
        for address in (INSTANCE, FRAMES, SERIES, STUDY)
    ),
    *(
        path(f"{address}/thumbnail", by_method(GET=rendered.small_picture))
        for address in (INSTANCE, FRAMES, SERIES, STUDY)
    ),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", figures.metrics),
    path("api/node", health.account),
    path("api/chores", chores.overview),
    path("api/log", log.lines),
    path("api/instances/<str:sop_uid>/header", header.header),
    path("api/custody/studies", custody.studies),
    path("api/custody/studies/<str:study_uid>", custody.study),
    path("api/custody/studies/<str:study_uid>/instances/<str:sop_uid>", custody.instance),
    path("api/custody/studies/<str:study_uid>/holds", keeping.holds),
    path("api/custody/studies/<str:study_uid>/availability", keeping.availability),
    path("api/custody/reservations", keeping.reserve),
    path("api/custody/restore/<str:study_uid>/journal", restoring.records),
    path("api/custody/restore/<str:study_uid>/<str:sop_uid>", restoring.instance),
    path("api/custody/restore/<str:study_uid>/quarantine/<str:sop_uid>", restoring.quarantined),
    path("api/custody/take-over/<str:take_over_id>/end", restoring.end_take_over),
    path("api/custody/quarantine/<str:sop_uid>/<str:digest>", custody.quarantined),
    path("api/custody/studies/<str:study_uid>/files", files.files),
    path("api/custody/evictions", custody.evictions),
    path("api/custody/recall-requests", custody.recall_requests),
    path("api/custody/receipts", commitments.receipts),
    path("api/commitments", commitments.commitments),
    path("api/commitments/<int:request_id>/retry", commitments.retry),
    path("api/forwarding", forwarding.forwards),
    path("api/forwarding/resend", forwarding.resend),
    path("api/forwarding/cancel", forwarding.cancel),
    path("api/forwarding/rules", forwarding.rules),
    path("api/scu/echo", scu.echo),
    path("api/scu/find", scu.find),
    path("api/scu/move", scu.move),
    path("api/scu/get", scu.get),
    path("api/scu/send", scu.send_stored),
    path("api/peers", peers.every_peer),
    path("api/peers/<path:title>", peers.one_peer),  # an AE title may hold a slash
    path("api/rejected-callers", peers.rejected_callers),
    path("api/rejected-callers/<int:caller_id>", peers.rejected_caller),
    path("api/rejected-callers/<int:caller_id>/approve", peers.approve),
    path("api/rejections", rejections.every),
    path("api/rejections/<str:note_uid>", rejections.one),
    path("api/rejections/<str:note_uid>/undo", rejections.undo),
    path("api/rejections/<str:note_uid>/approve", rejections.approve),
    path("api/arrivals", arrivals.arrived),
    path("api/arrivals/doubtful", arrivals.doubtful),
    path("api/arrivals/known", arrivals.known),
    path("api/transfers", arrivals.transfers),
    path("api/corrections", corrections.corrections),
    path("api/corrections/<str:correction_id>/undo", corrections.undo),
    path("api/corrections/<str:correction_id>/received", corrections.received),
    path("api/corrections/<str:correction_id>/resend", corrections.resend),
    path("api/quarantine", quarantine.every),
    path("api/quarantine/<int:row_id>", quarantine.one),
    path("api/quarantine/<int:row_id>/picture", quarantine.picture),
    *(
        path(f"api/quarantine/<int:row_id>/{verb}", quarantine.decide, {"verb": verb})
        for verb in quarantine.VERBS
    ),
    path("api/audit", audit.records),
    path("api/audit/lines", audit.lines),
    path("wado", by_method(GET=wado_uri.retrieve)),
    # DICOMweb names the methods of each resource here: capabilities and Allow are made from it
    path("dicom-web/", by_method(GET=capabilities.root)),
    path("dicom-web/studies", by_method(GET=qido.studies, POST=stow.store)),
    path("dicom-web/series", by_method(GET=qido.series)),
    path("dicom-web/instances", by_method(GET=qido.instances)),
    path(STUDY, by_method(GET=wado.objects, POST=stow.store, DELETE=delete.delete)),
    path(SERIES, by_method(GET=wado.objects, DELETE=delete.delete)),
    path(INSTANCE, by_method(GET=wado.objects, DELETE=delete.delete)),
    path(f"{STUDY}/series", by_method(GET=qido.series)),
    path(f"{STUDY}/instances", by_method(GET=qido.instances)),
    path(f"{SERIES}/instances", by_method(GET=qido.instances)),
    *(
        path(f"{address}/metadata", by_method(GET=metadata.metadata))
        for address in (STUDY, SERIES, INSTANCE)
    ),
    path(f"{INSTANCE}/bulkdata/<path:path>", by_method(GET=bulkdata.value)),
    *(
        path(f"{address}/bulkdata", by_method(GET=bulkdata.values))
        for address in (STUDY, SERIES, INSTANCE)
    ),
    *(
        path(f"{address}/pixeldata", by_method(GET=bulkdata.pixels))
        for address in (STUDY, SERIES, INSTANCE)
    ),
    *rescue,
]

handler400 = "dicom_node.api.guard.bad_request"
handler404 = "dicom_node.api.guard.not_found"
handler500 = "dicom_node.api.guard.server_error"
