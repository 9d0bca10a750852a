"""What is hidden by a rejection note (IOCM), and what each note names."""

from __future__ import annotations

from django.db import models


class Rejection(models.Model):
    """What one rejection note hides, and what became of it (custody rule 8)."""

    class State(models.TextChoices):
        BEGUN = "begun", "its note or its journal record may be missing"
        REJECTED = "rejected", "hidden"
        APPROVED = "approved", "hidden, and to be removed"
        UNDONE = "undone", "to be found again"

    note_uid = models.TextField(unique=True)
    study_uid = models.TextField(db_index=True)
    code = models.TextField(help_text="Of the note's title (DCM).")
    comment = models.TextField(default="")
    by = models.TextField(default="", help_text="The person, or the peer's AE title.")
    source = models.TextField(default="node", help_text="The peer that sent the note.")
    at = models.DateTimeField()
    state = models.TextField(choices=State.choices, default=State.BEGUN)
    approved_by = models.TextField(default="")
    removed = models.IntegerField(default=0, help_text="Instances whose file is gone.")

    class Meta:
        indexes = [models.Index(fields=["-at"], name="rejection_newest")]


class RejectedItem(models.Model):
    """An instance that is hidden, here or yet to arrive; its row goes when that is undone."""

    rejection = models.ForeignKey(Rejection, on_delete=models.CASCADE, related_name="items")
    uid = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["uid"], name="rejected_once")]
