"""Jobs: the row is the queue (custody rule 9)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Job(models.Model):
    """One piece of work: for one study of one node, for one volume of one vault, or one node."""

    class Kind(models.TextChoices):
        COPY = "copy"
        EVICT = "evict"
        RECALL = "recall"
        SCRUB = "scrub"
        EVACUATE = "evacuate"
        RESTORE = "restore"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        WAITING = "waiting"
        PAUSED = "paused"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    OPEN = (State.QUEUED, State.RUNNING, State.WAITING, State.PAUSED)

    kind = models.CharField(max_length=8, choices=Kind)
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    node = models.CharField(max_length=32, blank=True, default="")
    study_uid = models.CharField(max_length=64, blank=True, default="")
    vault = models.CharField(max_length=32, blank=True, default="")
    volume = models.CharField(max_length=32, blank=True, default="")
    requested_by = models.CharField(max_length=200)
    priority = models.SmallIntegerField(default=0, help_text="The higher, the sooner.")
    urgent = models.BooleanField(default=False, help_text="Runs outside its windows too.")
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")
    waits_for = models.CharField(
        max_length=200,
        blank=True,
        default="",
        help_text='What a waiting job waits for: "volume X".',
    )
    instances_done = models.PositiveIntegerField(default=0)
    instances_total = models.PositiveIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    counting_since = models.DateTimeField(null=True, help_text="When its present step began.")
    due_at = models.DateTimeField(default=timezone.now)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(
                fields=["state", "kind", "vault", "-urgent", "-priority", "due_at"], name="job_due"
            ),
            models.Index(fields=["study_uid"], name="job_study"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "node", "study_uid", "vault", "volume"],
                condition=Q(state__in=["queued", "running", "waiting", "paused"]),
                name="one_open_job_of_a_kind_for_one_thing",
            )
        ]
