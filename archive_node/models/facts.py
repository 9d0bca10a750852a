"""What the nodes last said of themselves and of their studies."""

from __future__ import annotations

from django.db import models


class StudyFacts(models.Model):
    """A study as its node last described it."""

    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    patient_issuer = models.CharField(max_length=200, default="")
    patient_id = models.CharField(max_length=200, default="")
    birth_date = models.CharField(max_length=8, default="")
    modalities = models.CharField(max_length=200, default="")
    body_parts = models.CharField(max_length=200, default="")
    department = models.CharField(max_length=200, default="")
    study_date = models.CharField(max_length=8, default="")
    description = models.CharField(max_length=200, default="")
    department_key = models.CharField(max_length=400, default="", help_text="Folded, for rules.")
    description_key = models.CharField(max_length=400, default="", help_text="Folded, for rules.")
    instances = models.PositiveIntegerField(default=0)
    online = models.PositiveIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    online_bytes = models.PositiveBigIntegerField(default=0)
    revision = models.PositiveBigIntegerField(default=0)
    recalls = models.PositiveBigIntegerField(default=0)
    last_arrival_at = models.DateTimeField(null=True)
    last_access_at = models.DateTimeField(null=True)
    digests_ready = models.BooleanField(default=False)
    quarantined = models.PositiveIntegerField(default=0, help_text="That wait for a decision.")
    quarantine_files = models.PositiveIntegerField(default=0, help_text="Decided ones too.")
    incomplete = models.BooleanField(default=False, help_text="A transfer of it did not end well.")
    held = models.BooleanField(default=False, help_text="The node itself holds it.")
    is_proven = models.BooleanField(
        default=False,
        help_text="No doubt since a scan found all of it proven in every required vault.",
    )
    seen_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(null=True)
    recalled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["node", "study_uid"],
                condition=models.Q(online__gt=0),
                name="facts_online",
            ),
            models.Index(
                fields=["node", "last_arrival_at"],
                condition=models.Q(is_proven=False),
                name="facts_unproven",
            ),
            models.Index(fields=["patient_issuer", "patient_id"], name="facts_patient"),
            models.Index(fields=["node", "last_arrival_at"], name="facts_arrival"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["node", "study_uid"], name="one_row_for_each_study")
        ]


class NodeState(models.Model):
    """What the last scan of a node met."""

    name = models.CharField(max_length=32, primary_key=True)
    reachable = models.BooleanField(default=False)
    last_scan_at = models.DateTimeField(null=True)
    last_full_scan_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, default="")
    studies = models.PositiveIntegerField(default=0)
    disk = models.JSONField(default=dict)
    arrivals = models.JSONField(default=dict, help_text="The node's own account of its rate.")
    amounts = models.JSONField(default=dict, help_text="Bytes that may go, that may not, and why.")
    silent_since = models.DateTimeField(null=True)
    changes_since = models.CharField(
        max_length=64, blank=True, default="", help_text="What the node is asked for next: since."
    )
    pass_began_at = models.DateTimeField(null=True, help_text="Of a full pass under way.")
    pass_after = models.CharField(max_length=64, blank=True, default="")
    makes_room = models.BooleanField(
        default=False, help_text="Its high watermark was passed, its low one not reached since."
    )


class DayOfDisk(models.Model):
    """How full a node's disk was at the last scan of a day (UTC)."""

    node = models.CharField(max_length=32)
    day = models.DateField()
    used_bytes = models.PositiveBigIntegerField()
    total_bytes = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "day"], name="one_row_for_each_day_of_a_disk")
        ]
