"""Objects that wait for a decision, and studies of which nothing else is here."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now


class Waiting(models.Manager):
    """Quarantined objects about which nobody has decided yet, or whose decision is under way."""

    def get_queryset(self) -> models.QuerySet:
        """Leave out what is settled."""
        return super().get_queryset().exclude(decision__in=("kept", "replaced"))


class Quarantined(models.Model):
    """An object that was kept, answered with success, and waits for somebody's decision.

    Its file stays in quarantine whatever is decided, unless it takes the stored one's place.
    """

    class Reason(models.TextChoices):
        SAME_UID = "same-uid", "Same SOP Instance UID with other content"
        OTHER_PATIENT = "other-patient", "Patient differs from the study's"

    class Decision(models.TextChoices):
        NONE = "", "waits for a decision"
        KEPT = "kept", "stays in quarantine: the stored one is right"
        TAKING = "taking", "is taking the stored one's place"
        RETURNING = "returning", "is taking its place back"
        REPLACED = "replaced", "was stored, and gave its place to another"

    uid = models.TextField()
    study_uid = models.TextField(db_index=True)
    received_sha256 = models.TextField()
    stored_sha256 = models.TextField(default="", help_text="Of its file, once it was asked for.")
    reason = models.TextField(choices=Reason.choices)
    detail = models.TextField(default="")
    hour = models.TextField(db_index=True)
    size_bytes = models.BigIntegerField()
    arrived_at = models.DateTimeField()
    source_ae = models.TextField(default="")
    decision = models.TextField(choices=Decision.choices, default=Decision.NONE)
    decided_by = models.TextField(default="")
    decided_at = models.DateTimeField(null=True)
    comment = models.TextField(default="", help_text="Why it was decided so.")

    objects = models.Manager()
    waiting = Waiting()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["uid", "received_sha256"], name="quarantined_once")
        ]


class WithheldStudy(models.Model):
    """A study of which nothing is stored: what the archive is told of it (index/withheld.py)."""

    uid = models.TextField()
    issuer = models.TextField(default="")
    patient_id = models.TextField(default="")
    birth_date = models.TextField(default="")
    study_date = models.TextField(default="")
    description = models.TextField(default="")
    department = models.TextField(default="")
    modalities = models.TextField(default="")
    revision = models.IntegerField(default=0, help_text="Grows with every object and decision.")
    last_arrival_at = models.DateTimeField()
    changed_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["uid"], name="withheld_study_once")]
        indexes = [models.Index(fields=["changed_at", "uid"], name="withheld_by_change")]
