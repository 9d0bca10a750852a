"""The archive's catalogue: jobs, copies, plans, and what the nodes last said."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Job(models.Model):
    """One piece of work for one study; the row is the queue (custody rule 9)."""

    class Kind(models.TextChoices):
        COPY = "copy"
        EVICT = "evict"
        RECALL = "recall"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    requested_by = models.CharField(max_length=200)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")
    instances_done = models.PositiveIntegerField(default=0)
    instances_total = models.PositiveIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["state", "due_at"], name="job_due"),
            models.Index(fields=["study_uid"], name="job_study"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "node", "study_uid"],
                condition=Q(state__in=["queued", "running"]),
                name="one_open_job_of_a_kind_for_a_study",
            )
        ]


class Copy(models.Model):
    """One member of a volume: the instances that one revision of a study added."""

    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    vault = models.CharField(max_length=32)
    volume = models.CharField(max_length=32)
    member = models.CharField(max_length=200)
    revision = models.PositiveBigIntegerField()
    instances = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    written_at = models.DateTimeField(default=timezone.now)
    verified_at = models.DateTimeField(null=True)
    bad_since = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["node", "study_uid"], name="copy_study"),
            models.Index(fields=["volume"], name="copy_volume"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["vault", "volume", "member"], name="one_row_for_each_member"
            )
        ]


class CopiedInstance(models.Model):
    """Where one instance's bytes lie within a member, and their digest at the node."""

    copy = models.ForeignKey(Copy, on_delete=models.CASCADE, related_name="contents")
    sop_instance_uid = models.CharField(max_length=64)
    stored_sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["copy", "sop_instance_uid"], name="an_instance_once_in_a_member"
            )
        ]


class StudyFacts(models.Model):
    """A study as its node last described it, and how far the archive has it."""

    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    patient_issuer = models.CharField(max_length=200, default="")
    patient_id = models.CharField(max_length=200, default="")
    modalities = models.CharField(max_length=200, default="")
    study_date = models.CharField(max_length=8, default="")
    description = models.CharField(max_length=200, default="")
    instances = models.PositiveIntegerField(default=0)
    online = models.PositiveIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    online_bytes = models.PositiveBigIntegerField(default=0)
    revision = models.PositiveBigIntegerField(default=0)
    recalls = models.PositiveBigIntegerField(default=0)
    last_arrival_at = models.DateTimeField(null=True)
    last_access_at = models.DateTimeField(null=True)
    digests_ready = models.BooleanField(default=False)
    quarantined = models.PositiveIntegerField(default=0)
    seen_at = models.DateTimeField(null=True)
    verified_revision = models.PositiveBigIntegerField(null=True)
    recalled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "study_uid"], name="one_row_for_each_study")
        ]


class Plan(models.Model):
    """A single-use eviction plan, exactly as the node was asked, and its answer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="plans")
    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    body = models.JSONField()
    answer = models.JSONField(null=True)
    void = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True)


class NodeState(models.Model):
    """What the last scan of a node met."""

    name = models.CharField(max_length=32, primary_key=True)
    reachable = models.BooleanField(default=False)
    last_scan_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    studies = models.PositiveIntegerField(default=0)
    disk = models.JSONField(default=dict)


class AuditLine(models.Model):
    """One act of an operator, or the outcome of a job: written once, collected by the portal."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=16)
    by = models.CharField(max_length=200)
    details = models.JSONField(default=dict)


class KnownVault(models.Model):
    """A vault that this catalogue speaks of; another one in its place is refused."""

    name = models.CharField(max_length=32, primary_key=True)
    library_id = models.CharField(max_length=64)
    first_seen_at = models.DateTimeField(default=timezone.now)
