"""Plans of eviction: the list that a person approves, and the single-use plan that a node gets."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from archive_node.models.jobs import Job


class EvictionList(models.Model):
    """Which studies one node shall free, printed before it happens and used once."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        REFUSED = "refused"
        OVERTAKEN = "overtaken"  # a newer list took its place before anybody decided

    node = models.CharField(max_length=32)
    state = models.CharField(max_length=9, choices=State, default=State.PROPOSED)
    why = models.CharField(max_length=200)
    wanted_bytes = models.PositiveBigIntegerField(default=0)
    made_at = models.DateTimeField(default=timezone.now)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["node"],
                condition=models.Q(state="proposed"),
                name="one_proposed_list_of_a_node",
            )
        ]


class ListedStudy(models.Model):
    """One study of a list, as it stood when the list was made."""

    list = models.ForeignKey(EvictionList, on_delete=models.CASCADE, related_name="studies")
    study_uid = models.CharField(max_length=64)
    instances = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    last_used_at = models.DateTimeField()
    why = models.CharField(max_length=200)
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, related_name="listed")


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
