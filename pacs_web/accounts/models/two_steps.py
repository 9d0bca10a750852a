"""The second step of a login: a person's authenticator, and codes for the day it is lost."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import models

from pacs_web.accounts.models.account import Account


class Authenticator(models.Model):
    """The secret that a person's telephone shares with us, sealed; `last_step` was used last."""

    owner = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="authenticator")
    sealed_secret = models.CharField(max_length=255)
    last_step = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.owner.get_username()


class RecoveryCode(models.Model):
    """A code that stands for the authenticator once, known by its SHA-256."""

    owner = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.owner.get_username()}: {'used' if self.used_at else 'unused'}"


class GroupRule(models.Model):
    """What a group asks of its people."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="rule")
    needs_two_steps = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.group.name
