"""What the hospital decided: rules, holds, watermarks, and when jobs may run."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Rule(models.Model):
    """Conditions that a study meets, and what then happens to it (policy/rules.py)."""

    class Action(models.TextChoices):
        HOLD = "hold"
        EVICT = "evict"
        COPY = "copy"
        RECALL = "recall"

    name = models.CharField(max_length=80, unique=True)
    action = models.CharField(max_length=8, choices=Action)
    conditions = models.JSONField(default=dict)
    vault = models.CharField(max_length=32, blank=True, default="", help_text='Of "copy" alone.')
    reason = models.CharField(max_length=200, blank=True, default="", help_text="Of a hold.")
    enabled = models.BooleanField(default=True)
    changed_at = models.DateTimeField(default=timezone.now)
    changed_by = models.CharField(max_length=200, default="")


class Hold(models.Model):
    """A study that nobody evicts until it is released."""

    class Kind(models.TextChoices):
        LEGAL = "legal"
        TEACHING = "teaching"
        TREATMENT = "treatment"

    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    kind = models.CharField(max_length=9, choices=Kind)
    reason = models.CharField(max_length=200)
    held_at = models.DateTimeField(default=timezone.now)
    held_by = models.CharField(max_length=200)
    released_at = models.DateTimeField(null=True)
    released_by = models.CharField(max_length=200, blank=True, default="")
    told_at = models.DateTimeField(null=True, help_text="When the node took it, or its release.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["node", "study_uid", "kind"],
                condition=models.Q(released_at=None),
                name="one_hold_of_a_kind_in_force",
            )
        ]


class NodePolicy(models.Model):
    """What is decided for one node alone; null means the settings' default."""

    name = models.CharField(max_length=32, primary_key=True)
    high_watermark = models.FloatField(null=True)
    low_watermark = models.FloatField(null=True)
    least_age_days = models.FloatField(null=True, help_text="Nothing younger is evicted.")
    approval = models.BooleanField(null=True, help_text="Whether a person approves evictions.")


class Window(models.Model):
    """When jobs may run; jobs that no window speaks of run at any time."""

    kind = models.CharField(max_length=8, blank=True, default="", help_text="Empty: every kind.")
    vault = models.CharField(max_length=32, blank=True, default="")
    node = models.CharField(max_length=32, blank=True, default="")
    weekdays = models.CharField(max_length=7, default="0123456", help_text="0 is Monday.")
    begins = models.TimeField()
    ends = models.TimeField(help_text="Before `begins`: on the next day.")
    bytes_per_s = models.PositiveBigIntegerField(null=True, help_text="Of each job; null: any.")
    enabled = models.BooleanField(default=True)
