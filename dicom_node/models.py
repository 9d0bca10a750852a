"""The index: what can be found. The node's disk is the truth; these rows can be rebuilt."""

from __future__ import annotations

from django.db import models

from pacs_common.availability import Availability


class Study(models.Model):
    """A study with its patient, as its first instance told it (later ones fill blanks only)."""

    uid = models.TextField(unique=True)
    issuer = models.TextField(default="")
    patient_id = models.TextField(default="", db_index=True)
    patient_name = models.TextField(default="")
    patient_name_key = models.TextField(default="", db_index=True)
    patient_name_other_keys = models.TextField(default="")
    birth_date = models.TextField(default="", db_index=True)
    sex = models.TextField(default="")
    study_date = models.TextField(default="", db_index=True)
    study_time = models.TextField(default="")
    accession_number = models.TextField(default="", db_index=True)
    study_id = models.TextField(default="")
    description = models.TextField(default="")
    description_key = models.TextField(default="")
    referring_physician = models.TextField(default="")
    referring_physician_key = models.TextField(default="")
    institution = models.TextField(default="")
    department = models.TextField(default="")
    requesting_service = models.TextField(default="")

    modalities = models.TextField(default="", help_text="Sorted, separated by backslashes.")
    series_count = models.IntegerField(default=0)
    instance_count = models.IntegerField(default=0)
    evicted_count = models.IntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    online_bytes = models.BigIntegerField(default=0)
    revision = models.IntegerField(default=0, help_text="Grows with every arrival.")
    recalls = models.IntegerField(default=0, help_text="Grows with every recall.")
    last_arrival_at = models.DateTimeField(db_index=True)
    last_access_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["-study_date", "uid"], name="study_by_date")]


class Series(models.Model):
    """A series within its study."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="series")
    uid = models.TextField(db_index=True)
    modality = models.TextField(default="", db_index=True)
    number = models.IntegerField(null=True)
    description = models.TextField(default="")
    description_key = models.TextField(default="")
    body_part = models.TextField(default="")
    laterality = models.TextField(default="")
    series_date = models.TextField(default="")
    series_time = models.TextField(default="")
    protocol = models.TextField(default="")
    station = models.TextField(default="")
    instance_count = models.IntegerField(default=0)
    evicted_count = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "uid"], name="series_once_per_study")
        ]


class Instance(models.Model):
    """One SOP instance: where its bytes lie, their digests, and what a list shows of it."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="instances")
    uid = models.TextField(unique=True)
    sop_class = models.TextField()
    transfer_syntax = models.TextField()
    number = models.IntegerField(null=True)
    frames = models.IntegerField(null=True)
    rows = models.IntegerField(null=True)
    columns = models.IntegerField(null=True)
    shown = models.JSONField(default=dict, help_text="Attributes that are returned, not matched.")

    hour = models.TextField(db_index=True, help_text="Folder of arrival, YYYY/MM/DD/HH.")
    arrived_at = models.DateTimeField()
    size_bytes = models.BigIntegerField(help_text="Of the whole file.")
    received_sha256 = models.TextField()
    stored_sha256 = models.TextField(default="")
    pixel_sha256 = models.TextField(default="")
    availability = models.TextField(
        default=Availability.ONLINE, choices=[(a.value, a.value) for a in Availability]
    )
    damaged = models.BooleanField(default=False, help_text="Its file is not what arrived.")
    nonstandard_uid = models.BooleanField(default=False)
    source_ae = models.TextField(default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                name="instance_awaiting_digests",
                condition=models.Q(stored_sha256=""),
            )
        ]


class Quarantined(models.Model):
    """An object that was kept, answered with success, and waits for somebody's decision."""

    class Reason(models.TextChoices):
        SAME_UID = "same-uid", "Same SOP Instance UID with other content"
        OTHER_PATIENT = "other-patient", "Patient differs from the study's"

    uid = models.TextField()
    study_uid = models.TextField(db_index=True)
    received_sha256 = models.TextField()
    reason = models.TextField(choices=Reason.choices)
    detail = models.TextField(default="")
    hour = models.TextField(db_index=True)
    size_bytes = models.BigIntegerField()
    arrived_at = models.DateTimeField()
    source_ae = models.TextField(default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["uid", "received_sha256"], name="quarantined_once")
        ]


class EvictionPlan(models.Model):
    """An executed plan and its answer: the same plan again gets the same answer."""

    plan_id = models.TextField(unique=True)
    study_uid = models.TextField()
    answer = models.JSONField(null=True)
    begun_at = models.DateTimeField(auto_now_add=True)


class UsedTicket(models.Model):
    """A single-use ticket, kept until it expires."""

    jti = models.TextField(unique=True)
    plan_id = models.TextField()
    expires_at = models.DateTimeField(db_index=True)


class RecallRequest(models.Model):
    """A study that somebody wanted while it was away."""

    study_uid = models.TextField(unique=True)
    requested_at = models.DateTimeField(auto_now_add=True)
    requested_by = models.TextField(default="")
