"""Callers that were not let in, remembered for IT, and let in by a word of theirs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.models import F
from django.utils import timezone

from dicom_node.models import RejectedCaller
from dicom_node.peers import book
from dicom_node.peers.decision import Caller, Cause, Rejection
from dicom_node.peers.peer import CertificateRule, Peer, Service
from pacs_common.errors import BadInput, Conflict, NotFound

LOG = logging.getLogger(__name__)
MAX_ROWS = 500


def remember(caller: Caller, rejection: Rejection) -> None:
    """Count a rejection in its caller's row; a database that is away costs only the memory.

    Of callers with new names and addresses no more than `MAX_ROWS` are kept: a crowd of
    strangers never pushes out a known AE title.
    """
    try:
        if not _count(caller, rejection):
            _add(caller, rejection)
    except DatabaseError as error:
        LOG.error("a rejected caller is not remembered: %s", error)
        connections.close_all()


def approve(row_id: int, may: Iterable[Service] | None = None) -> Peer:
    """Let a rejected caller in from now on, and return its peer.

    Adds its address to the peer, or, where its certificate was the reason, takes that one for
    the peer's. `may` says what it may do, and is needed where nothing does so yet. Raises
    NotFound, BadInput, Conflict.
    """
    row = found(row_id)
    if row.cause not in (Cause.UNKNOWN_AE, Cause.NEW_ADDRESS, Cause.CERTIFICATE):
        raise Conflict(f"nothing to approve: {row.why}")
    if row.cause == Cause.CERTIFICATE and not row.certificate_sha256:
        raise Conflict("it showed no certificate that could be approved")

    def admitted(peer: Peer) -> Peer:
        rights = peer.may if may is None else frozenset(may)
        if not rights:
            raise BadInput(f"say what {peer.ae_title} may do: nothing does so yet")
        if row.cause == Cause.CERTIFICATE:
            return replace(peer, may=rights, certificate=CertificateRule(row.certificate_sha256))
        known = dict.fromkeys((*peer.addresses, row.address))
        return replace(peer, may=rights, addresses=tuple(known))

    peer = book.change(row.ae_title, admitted)
    RejectedCaller.objects.filter(ae_title=row.ae_title, address=row.address).delete()
    return peer


def found(row_id: int) -> RejectedCaller:
    """Return a remembered caller; raises NotFound."""
    row = RejectedCaller.objects.filter(id=row_id).first()
    if row is None:
        raise NotFound(f"rejected caller {row_id} is not remembered")
    return row


def _count(caller: Caller, rejection: Rejection) -> int:
    return _same(caller).update(
        count=F("count") + 1, last_at=timezone.now(), **_told(caller, rejection)
    )


def _add(caller: Caller, rejection: Rejection) -> None:
    now = timezone.now()
    try:
        with transaction.atomic():
            RejectedCaller.objects.create(
                ae_title=_clean(caller.ae_title),
                address=caller.address,
                certificate_sha256=caller.certificate.sha256 if caller.certificate else "",
                first_at=now,
                last_at=now,
                **_told(caller, rejection),
            )
    except IntegrityError:  # another process was first
        _count(caller, rejection)
    _forget_oldest()


def _same(caller: Caller):
    return RejectedCaller.objects.filter(
        ae_title=_clean(caller.ae_title),
        address=caller.address,
        certificate_sha256=caller.certificate.sha256 if caller.certificate else "",
    )


def _told(caller: Caller, rejection: Rejection) -> dict[str, str]:
    return {
        "cause": str(rejection.cause),
        "why": _clean(rejection.why),
        "called_ae": _clean(caller.called_ae),
        "certificate_subject": _clean(caller.certificate.subject if caller.certificate else ""),
    }


def _forget_oldest() -> None:
    surplus = RejectedCaller.objects.count() - MAX_ROWS
    if surplus <= 0:
        return
    known = [_clean(title) for title in book.current().peers]
    strangers = RejectedCaller.objects.exclude(ae_title__in=known)
    rows = strangers if strangers.count() >= surplus else RejectedCaller.objects.all()
    oldest = list(rows.order_by("last_at", "id").values_list("id", flat=True)[:surplus])
    RejectedCaller.objects.filter(id__in=oldest).delete()


def _clean(text: str) -> str:
    """Return a caller's text as a database and a page can show it."""
    return "".join(one if one.isprintable() else "?" for one in text)[:500]
