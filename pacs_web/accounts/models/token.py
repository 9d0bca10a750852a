"""The API tokens of the programs that act for a person."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from pacs_web.accounts.models.account import Account


class ApiToken(models.Model):
    """A token, known only by its SHA-256: who reads the database cannot use it."""

    digest = models.CharField(max_length=64, unique=True)
    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.CharField(max_length=100, blank=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.owner.get_username()}: {self.label or self.pk}"
