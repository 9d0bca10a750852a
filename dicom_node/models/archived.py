"""What the archive and the node agree on: evictions, tickets used, recalls asked for."""

from __future__ import annotations

from django.db import models


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


class Reservation(models.Model):
    """Space that is kept for the recall of a study; forgotten when its time is over."""

    study_uid = models.TextField(unique=True)
    size_bytes = models.BigIntegerField(help_text="That is still to come.")
    expires_at = models.DateTimeField()
