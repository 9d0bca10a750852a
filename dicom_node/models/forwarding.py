"""The queue of what goes on to other peers."""

from __future__ import annotations

from django.db import models

from dicom_node.models.commitment import Commitment


class Forward(models.Model):
    """One instance on its way to one destination: the row is the queue."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENDING = "sending", "being sent"
        SENT = "sent", "sent"
        GIVEN_UP = "given-up", "given up"
        CANCELLED = "cancelled", "cancelled"

    uid = models.TextField()
    study_uid = models.TextField(db_index=True)
    destination = models.TextField()
    rule = models.TextField(default="", help_text="Empty: asked for by a person.")
    requested_by = models.TextField(default="")
    priority = models.IntegerField(default=0, help_text="Higher goes first.")
    state = models.TextField(choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    error = models.TextField(default="")
    status = models.IntegerField(null=True, help_text="Of the last C-STORE response.")
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, db_index=True)
    wants_commitment = models.BooleanField(default=False)
    commitment = models.ForeignKey(
        Commitment, null=True, on_delete=models.SET_NULL, related_name="forwards"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["destination", "uid"],
                name="forward_once_at_a_time",
                condition=models.Q(state__in=("waiting", "sending")),
            )
        ]
        indexes = [
            models.Index(
                fields=["destination", "-priority", "id"],
                name="forward_waiting",
                condition=models.Q(state="waiting"),
            ),
            models.Index(
                fields=["destination", "study_uid"],
                name="forward_uncommitted",
                condition=models.Q(state="sent", wants_commitment=True, commitment=None),
            ),
        ]


class ForwardDestination(models.Model):
    """What is known of a destination: whether it is away, since when, until when it is left."""

    ae_title = models.TextField(unique=True)
    failures = models.IntegerField(default=0, help_text="In a row.")
    away_since = models.DateTimeField(null=True)
    held_until = models.DateTimeField(null=True)
    error = models.TextField(default="")
    last_sent_at = models.DateTimeField(null=True)
