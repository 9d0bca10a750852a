"""What the portal collects of the archive's acts."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class AuditLine(models.Model):
    """One act of an operator, or the outcome of a job: written once, collected by the portal."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=16)
    by = models.CharField(max_length=200)
    details = models.JSONField(default=dict)
