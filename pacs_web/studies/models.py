from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models


class SavedSearch(models.Model):
    """A search that a person keeps under a name: what was typed, and of a quick button its name."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_searches"
    )
    name = models.CharField(max_length=60)
    typed: Any = models.JSONField()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="saved_search_once")]

    def __str__(self) -> str:
        return self.name


class RecentExam(models.Model):
    """An exam that a person opened lately, as it was shown: the list asks no server.

    `terms` is a digest of the limits under which it was opened: under others it is not listed.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recent_exams"
    )
    study_uid = models.CharField(max_length=64)
    opened_at = models.DateTimeField()
    terms = models.CharField(max_length=64)
    patient_name = models.TextField()
    date = models.TextField()
    modalities = models.TextField()
    description = models.TextField()

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "study_uid"], name="recent_exam_once")
        ]
        indexes = [models.Index(fields=["owner", "-opened_at"], name="recent_exam_latest")]

    def __str__(self) -> str:
        return self.study_uid


class ConfirmedPatient(models.Model):
    """Somebody found an exam rightly filed under a patient who looked doubtful.

    It counts while the exam is this patient's: corrected to another one, it is doubted anew.
    """

    study_uid = models.CharField(max_length=64)
    issuer = models.TextField()
    patient_id = models.TextField()
    confirmed_by = models.CharField(max_length=150)
    confirmed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study_uid", "issuer", "patient_id"], name="confirmed_patient_once"
            )
        ]

    def __str__(self) -> str:
        return self.study_uid
