"""Corrections of whose a study is: overlays on the stored files."""

from __future__ import annotations

from django.db import models


class Correction(models.Model):
    """What is shown of a study in place of what its objects say (custody rule 10)."""

    class Kind(models.TextChoices):
        IDENTITY = "identity", "the patient's identity was corrected"
        MOVED = "moved", "the study was moved to another patient"

    class State(models.TextChoices):
        BEGUN = "begun", "its journal record may be missing"
        APPLIED = "applied", "in force"
        UNDOING = "undoing", "in force; the journal record of its undoing may be there"
        UNDONE = "undone", "undone"

    correction_id = models.TextField(unique=True)
    study_uid = models.TextField(db_index=True)
    kind = models.TextField(choices=Kind.choices)
    why = models.TextField()
    by = models.TextField()
    at = models.DateTimeField()
    values = models.JSONField(help_text="What is shown, by keyword; null: nothing.")
    old = models.JSONField(help_text="What was shown before, by keyword.")
    before = models.JSONField(help_text="Issuer and Patient ID before it.")
    after = models.JSONField(help_text="Issuer and Patient ID since.")
    state = models.TextField(choices=State.choices, default=State.BEGUN)
    undone_by = models.TextField(default="")
    undone_at = models.DateTimeField(null=True)
