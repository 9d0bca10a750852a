"""Space that is kept for recalls under way, so that two do not fill the disk half-way each."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F, Sum
from django.utils import timezone

from dicom_node.models import Reservation
from dicom_node.store import blobs
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput

LASTS = timedelta(hours=1)  # without being asked for again


def reserve(layout: Layout, study_uid: str, size_bytes: int, *, reserve_bytes: int) -> Reservation:
    """Keep space for what is still to come of a study; asked again, it is this much from now on.

    Recalls may use half of the node's reserve. Raises BadInput, or DiskFull where it does not fit.
    """
    if size_bytes < 1:
        raise BadInput("bytes is not a number above 0")
    with blobs.locked(layout.objects, exclusive=True):  # of two who ask at once, one is first
        kept_bytes = reserve_bytes // 2 + reserved_bytes(but_for=study_uid)
        blobs.require_space(layout.objects, size_bytes, kept_bytes)
        wanted = {"size_bytes": size_bytes, "expires_at": timezone.now() + LASTS}
        found, _ = Reservation.objects.update_or_create(study_uid=study_uid, defaults=wanted)
    return found


def reserved_bytes(*, but_for: str = "") -> int:
    """Return how much is reserved now, for any study but one."""
    live = Reservation.objects.filter(expires_at__gt=timezone.now()).exclude(study_uid=but_for)
    return live.aggregate(total=Sum("size_bytes"))["total"] or 0


def use(study_uid: str, size_bytes: int) -> None:
    """Count bytes that came as no longer to come."""
    known = Reservation.objects.filter(study_uid=study_uid)
    known.update(size_bytes=F("size_bytes") - size_bytes)
    known.filter(size_bytes__lte=0).delete()


def end(study_uid: str) -> None:
    """Free what is left of a study's reservation: all of it is online."""
    Reservation.objects.filter(study_uid=study_uid).delete()


def sweep() -> None:
    """Forget the reservations whose time is over."""
    Reservation.objects.filter(expires_at__lte=timezone.now()).delete()
