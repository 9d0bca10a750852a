"""What other peers did: callers who were not let in, and what each association brought."""

from __future__ import annotations

from django.db import models


class RejectedCaller(models.Model):
    """A caller that was not let in, remembered for IT: one row for each distinct caller."""

    ae_title = models.TextField()
    address = models.TextField()
    certificate_sha256 = models.TextField(default="")
    certificate_subject = models.TextField(default="")
    called_ae = models.TextField(default="")
    cause = models.TextField()
    why = models.TextField()
    count = models.BigIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ae_title", "address", "certificate_sha256"], name="rejected_caller_once"
            )
        ]


class Transfer(models.Model):
    """An association that brought objects, or tried to: what came of them, and how it ended."""

    source_ae = models.TextField()
    address = models.TextField(default="")
    called_ae = models.TextField(default="")
    began_at = models.DateTimeField()
    last_at = models.DateTimeField(help_text="When this row was last written.")
    ended_at = models.DateTimeField(null=True)
    why_ended = models.TextField(default="", help_text="Empty: released, as it should be.")
    stored = models.IntegerField(default=0)
    duplicates = models.IntegerField(default=0)
    quarantined = models.IntegerField(default=0)
    refused = models.IntegerField(default=0)
    unfinished = models.IntegerField(default=0, help_text="Objects that broke off half-way.")
    size_bytes = models.BigIntegerField(default=0)
    refusals = models.JSONField(default=list, help_text="By status and reason, with counts.")
    studies = models.JSONField(default=dict, help_text="Objects of each study.")

    class Meta:
        indexes = [
            models.Index(fields=["id"], name="transfer_open", condition=models.Q(ended_at=None))
        ]
