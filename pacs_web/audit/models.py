"""The audit's rows: written once, never changed, never deleted."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AppendOnly(Exception):
    """Somebody's code tried to change or delete an audit row."""


class Action(models.TextChoices):
    """What people do that is written down."""

    LOGIN = "login", _("Logged in")
    LOGOUT = "logout", _("Logged out")
    LOGIN_FAILED = "login-failed", _("Login failed")
    SEARCH = "search", _("Searched")
    STUDY = "study", _("Opened exam")
    IMAGES = "images", _("Looked at images")
    HEADER = "header", _("Read header")
    DOWNLOAD = "download", _("Downloaded")
    RECALL = "recall", _("Asked for recall")
    ARCHIVE_JOB = "archive-job", _("Started archive job")
    DICOMWEB = "dicomweb", _("Used DICOMweb")
    REFUSED = "refused", _("Was refused")


class AuditRows(models.QuerySet):
    """Rows that refuse to be changed or deleted in bulk."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows do not change")

    def delete(self) -> NoReturn:
        raise AppendOnly("audit rows are not deleted")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows do not change")


class AuditEvent(models.Model):
    """One act of one person, who is kept by name so that the row outlives the account."""

    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    who = models.CharField(max_length=150)
    action = models.CharField(max_length=20, choices=Action.choices)
    study_uid = models.CharField(max_length=64, blank=True)
    patient_id = models.CharField(max_length=64, blank=True)
    patient_issuer = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True)
    detail = models.JSONField(default=dict)

    objects = AuditRows.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["who", "action", "study_uid", "at"], name="audit_once"),
            models.Index(fields=["study_uid", "at"], name="audit_study"),
            models.Index(fields=["patient_id", "at"], name="audit_patient"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.who} {self.action} {self.study_uid}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("audit rows do not change")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnly("audit rows are not deleted")
