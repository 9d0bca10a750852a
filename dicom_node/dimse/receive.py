"""C-STORE: hands each object to `ingest` and answers what became of it (PS3.4 B.2)."""

from __future__ import annotations

import logging

from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_node.ingest.ingest import Arrival, Ingest, Outcome
from pacs_common.errors import ArgensError

LOG = logging.getLogger(__name__)
SUCCESS = 0x0000
COMMENT_CHARS = 64  # Error Comment (0000,0902) is an LO


def store(event: evt.Event, ingest: Ingest) -> Dataset:
    """Answer one C-STORE request; success only for what is durable and can be found."""
    request = event.request
    try:
        result = ingest.take(
            Arrival(
                data_set=event.encoded_dataset(include_meta=False),
                transfer_syntax=str(event.context.transfer_syntax),
                affected_class=str(request.AffectedSOPClassUID or ""),
                affected_uid=str(request.AffectedSOPInstanceUID or ""),
                source_ae=str(event.assoc.requestor.ae_title).strip(),
                called_ae=str(event.assoc.requestor.primitive.called_ae_title).strip(),
            )
        )
    except ArgensError as error:
        LOG.warning("C-STORE refused: %s", error, extra=_whose(event))
        return status(error.dimse_status, str(error))
    except Exception:  # the DIMSE edge: whatever went wrong, the sender must keep its copy
        LOG.exception("C-STORE failed", extra=_whose(event))
        return status(ArgensError.dimse_status, "internal error; see the node's log")
    if result.outcome is Outcome.QUARANTINED:
        LOG.warning(
            "object quarantined: %s",
            result.reason,
            extra={**_whose(event), "sop_instance_uid": result.identity.instance},
        )
    return status(SUCCESS)


def status(code: int, comment: str = "") -> Dataset:
    """Return a DIMSE status, with one line for the person at the other end."""
    answer = Dataset()
    answer.Status = code
    if comment:
        plain = comment.encode("ascii", "replace").decode().replace("\\", "/")
        answer.ErrorComment = plain[:COMMENT_CHARS]
    return answer


def _whose(event: evt.Event) -> dict[str, str]:
    requestor = event.assoc.requestor
    return {"calling_ae": str(requestor.ae_title).strip(), "peer": requestor.address}
