"""Where copies lie, and what is proven of them."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Copy(models.Model):
    """One member of a volume: the files that one revision of a study added."""

    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    vault = models.CharField(max_length=32)
    volume = models.CharField(max_length=32)
    member = models.CharField(max_length=200)
    revision = models.PositiveBigIntegerField()
    instances = models.PositiveIntegerField(help_text="With those that lay in quarantine.")
    size_bytes = models.PositiveBigIntegerField()
    key_id = models.CharField(max_length=64, blank=True, default="", help_text="Empty: in clear.")
    records = models.PositiveIntegerField(
        default=0, help_text="Of the node's records in its manifest, those that call for a copy."
    )
    written_at = models.DateTimeField(default=timezone.now)
    verified_at = models.DateTimeField(null=True)
    scrubbed_at = models.DateTimeField(null=True, help_text="When it was last re-read whole.")
    bad_since = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["node", "study_uid"], name="copy_study"),
            models.Index(fields=["vault", "volume"], name="copy_volume"),
            models.Index(
                fields=["node", "study_uid"],
                condition=models.Q(bad_since__isnull=False),
                name="copy_bad",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["vault", "volume", "member"], name="one_row_for_each_member"
            )
        ]


class CopiedInstance(models.Model):
    """Where one file's bytes lie within a member, and their digest at the node.

    Bytes are known by UID and digest. A file that lay in quarantine may be the study's instance
    now, and the other way round: a decision moves no bytes on a volume. So both kinds stand in one
    table, and all that proves, re-reads, moves or brings back copies asks one question.
    """

    copy = models.ForeignKey(Copy, on_delete=models.CASCADE, related_name="contents")
    sop_instance_uid = models.CharField(max_length=64)
    stored_sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField()
    quarantined = models.BooleanField(
        default=False, help_text="It lay in quarantine when it was written: so it is named."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["copy", "sop_instance_uid", "stored_sha256"], name="a_file_once_in_a_member"
            )
        ]


class Proof(models.Model):
    """Up to which revision every instance of a study has a verified copy in one vault."""

    node = models.CharField(max_length=32)
    study_uid = models.CharField(max_length=64)
    vault = models.CharField(max_length=32)
    revision = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["node", "study_uid", "vault"], name="one_proof_of_a_study_in_a_vault"
            )
        ]


class KnownVault(models.Model):
    """A vault that this catalogue speaks of; another one in its place is refused."""

    name = models.CharField(max_length=32, primary_key=True)
    library_id = models.CharField(max_length=64)
    first_seen_at = models.DateTimeField(default=timezone.now)


class MountRequest(models.Model):
    """A volume on the shelf that somebody waits for: an operator puts it into the library.

    Jobs say themselves what they wait for; a restore of a node is none, and says it here.
    """

    vault = models.CharField(max_length=32)
    volume = models.CharField(max_length=32)
    asked_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=200, blank=True, default="")
    restore_of = models.CharField(max_length=32, blank=True, default="", help_text="A node.")
    restore_seen_at = models.DateTimeField(null=True, help_text="When that still waited.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["vault", "volume"],
                condition=models.Q(ended_at=None),
                name="one_open_request_for_a_volume",
            )
        ]
