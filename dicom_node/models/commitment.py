"""Storage commitment requests, and the instances that each names."""

from __future__ import annotations

from django.db import models


class Commitment(models.Model):
    """A request for storage commitment, a peer's or ours, until its report (PS3.4 J)."""

    class Side(models.TextChoices):
        PEER = "peer", "a peer asked the node"
        NODE = "node", "the node asked a peer"

    class State(models.TextChoices):
        CHECKING = "checking", "instances are being checked"
        REPORTING = "reporting", "the report waits for the peer"
        ASKING = "asking", "the request waits for the peer"
        AWAITING = "awaiting", "the peer has not reported yet"
        DONE = "done", "reported"
        GIVEN_UP = "given-up", "given up"

    side = models.TextField(choices=Side.choices)
    state = models.TextField(choices=State.choices)
    transaction_uid = models.TextField(db_index=True)
    peer_ae = models.TextField()
    peer_address = models.TextField(default="")
    own_ae = models.TextField()
    requested_by = models.TextField(default="")
    is_duplicate = models.BooleanField(default=False, help_text="Its Transaction UID is taken.")
    asked_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(help_text="When it is next worked on.")
    lease_until = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    error = models.TextField(default="")
    answer_status = models.IntegerField(null=True, help_text="Of the last DIMSE response.")
    settled_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"],
                name="commitment_open",
                condition=models.Q(settled_at=None),
            )
        ]


class CommitmentItem(models.Model):
    """One instance of a request: its failure reason, 0 where it is committed, null while open."""

    commitment = models.ForeignKey(Commitment, on_delete=models.CASCADE, related_name="items")
    sop_class = models.TextField()
    uid = models.TextField()
    reason = models.IntegerField(null=True)
