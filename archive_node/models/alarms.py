"""What somebody must look at."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Alarm(models.Model):
    """Something wrong that lasts; one row from its beginning to its end."""

    class Level(models.TextChoices):
        WARNING = "warning"
        CRITICAL = "critical"

    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=200, help_text="What it is about: a node, a volume.")
    level = models.CharField(max_length=8, choices=Level)
    text = models.CharField(max_length=500)
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True, default="")
    mailed_at = models.DateTimeField(null=True, help_text="When the mail server last took it.")
    posted_at = models.DateTimeField(null=True, help_text="When the webhook last took it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=models.Q(ended_at=None),
                name="one_alarm_of_a_kind_about_a_thing",
            )
        ]
