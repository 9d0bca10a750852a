"""The audit's rows: written once, chained, never changed, never deleted."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from pacs_web.audit import chain
from pacs_web.audit.one_writer import one_writer

PORTAL = "portal"


class AppendOnly(Exception):
    """Somebody's code tried to change or delete an audit row."""


class Action(models.TextChoices):
    """What people and programs do that is written down; a new one needs no migration."""

    LOGIN = "login", _("Logged in")
    LOGOUT = "logout", _("Logged out")
    LOGIN_FAILED = "login-failed", _("Login failed")
    SEARCH = "search", _("Searched")
    STUDY = "study", _("Opened exam")
    IMAGES = "images", _("Looked at images")
    HEADER = "header", _("Read header")
    DOWNLOAD = "download", _("Downloaded")
    RECALL = "recall", _("Asked for recall")
    ARCHIVE_JOB = "archive-job", _("Started or changed archive jobs")
    ARCHIVE = "archive", _("Operated the archive")
    DICOMWEB = "dicomweb", _("Used DICOMweb")
    STORE = "store", _("Stored")
    REJECT = "reject", _("Rejected")
    CORRECT = "correct", _("Corrected an identity")
    REFUSED = "refused", _("Was refused")
    GLASS = "break-glass", _("Broke the glass")
    ACCOUNT = "account", _("Changed an account")
    AUDIT = "audit", _("Read the audit")
    SEND = "send", _("Sent to another system")
    DELETE = "delete", _("Deleted or freed")
    CONNECT = "connect", _("Connected by DICOM")
    CONFIGURE = "configure", _("Changed the configuration")
    JOB = "job", _("Archive job ended")
    RESTORED = "backup-restored", _("Restored from a backup")
    OTHER = "other", _("Other act")


class Result(models.TextChoices):
    """How an act ended."""

    SUCCESS = "success", _("Done")
    REFUSED = "refused", _("Refused")
    FAILED = "failed", _("Failed")

    @classmethod
    def of_status(cls, status: int) -> Result:
        """Return what an HTTP status says of an act."""
        if status in {401, 403}:
            return cls.REFUSED
        return cls.FAILED if status >= 400 else cls.SUCCESS


class AuditRows(models.QuerySet):
    """Rows that refuse to be changed or deleted, or added past the chain, in bulk."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows do not change")

    def delete(self) -> NoReturn:
        raise AppendOnly("audit rows are not deleted")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows do not change")

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows are chained one by one")


class AuditEvent(models.Model):
    """One act of one person or program, kept by name so that the row outlives the account.

    `source` is the role that noted it; `source_key` is the line's place there ("" at the portal),
    so that what is collected twice is kept once. `previous` and `digest` are the chain.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    who = models.CharField(max_length=150)
    action = models.CharField(max_length=40)
    result = models.CharField(max_length=10, default=Result.SUCCESS)
    study_uid = models.CharField(max_length=64, blank=True)
    patient_id = models.CharField(max_length=64, blank=True)
    patient_issuer = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=80, blank=True, default="")
    source = models.CharField(max_length=64, default=PORTAL)
    source_key = models.CharField(max_length=64, blank=True, default="")
    detail = models.JSONField(default=dict)
    previous = models.CharField(max_length=64, editable=False)
    digest = models.CharField(max_length=64, editable=False)

    objects = AuditRows.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["who", "action", "study_uid", "at"], name="audit_once"),
            models.Index(fields=["study_uid", "at"], name="audit_study"),
            models.Index(fields=["patient_id", "at"], name="audit_patient"),
            models.Index(fields=["who", "at"], name="audit_who"),
            models.Index(fields=["action", "at"], name="audit_action"),
            models.Index(fields=["result", "at"], name="audit_result"),
            models.Index(fields=["source", "at"], name="audit_source"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "source_key"],
                condition=~models.Q(source_key=""),
                name="audit_collected_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.who} {self.action} {self.study_uid}"

    @property
    def act(self) -> str:
        """The act in words."""
        return str(Action(self.action).label) if self.action in Action.values else self.action

    @property
    def outcome(self) -> str:
        """The result in words."""
        return str(Result(self.result).label) if self.result in Result.values else self.result

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row at the end of the chain."""
        if not self._state.adding:
            raise AppendOnly("audit rows do not change")
        self._settle()
        with one_writer():
            self.previous = head_digest()
            self.digest = chain.digest_of(self.previous, self)
            super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows are not deleted")

    def _settle(self) -> None:
        """Give each field the form in which every database returns it."""
        for field in self._meta.fields:
            if isinstance(field, models.CharField):
                value = chain.text(getattr(self, field.attname), field.max_length or 0)
                setattr(self, field.attname, value)
        self.address = chain.address(self.address)
        self.detail = chain.plain(self.detail)


class AuditSource(models.Model):
    """A role whose audit is collected: how far, when last, and what hindered it since."""

    name = models.CharField(max_length=64, primary_key=True)
    cursor = models.CharField(max_length=64, blank=True, default="")
    at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True, default="")

    def __str__(self) -> str:
        return self.name


class AuditTarget(models.Model):
    """A receiver of the rows: the last that it has, when it got it, and what hindered since."""

    name = models.CharField(max_length=64, primary_key=True)
    row = models.BigIntegerField(default=0)
    at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True, default="")

    def __str__(self) -> str:
        return self.name


def append_all(rows: list[AuditEvent]) -> None:
    """Add new rows at the end of the chain, in their order, by few statements."""
    for row in rows:
        row._settle()
    with one_writer():
        previous = head_digest()
        for row in rows:
            row.previous = previous
            row.digest = previous = chain.digest_of(previous, row)
        models.QuerySet(AuditEvent).bulk_create(rows, batch_size=200)


def head_digest() -> str:
    """Return the digest of the last row, to which the next one is chained."""
    last = AuditEvent.objects.order_by("-id").values_list("digest", flat=True).first()
    return last or chain.FIRST
