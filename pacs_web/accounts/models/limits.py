"""How far a person's rights reach: to which nodes and departments."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q

from pacs_web.accounts.models.account import Account


class Limit(models.Model):
    """One node, or one department, to which a person or a group is limited.

    Whoever has a row of one kind reaches what the rows of this kind name, and nothing else.
    """

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, null=True, blank=True, related_name="limits"
    )
    group = models.ForeignKey(
        Group, on_delete=models.CASCADE, null=True, blank=True, related_name="limits"
    )
    node = models.CharField(max_length=64, blank=True)
    department = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="limit_of_one",
                condition=Q(account=None, group__isnull=False)
                | Q(account__isnull=False, group=None),
            ),
            models.CheckConstraint(
                name="limit_to_one",
                condition=Q(node="", department__gt="") | Q(node__gt="", department=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account or self.group}: {self.node or self.department}"


class NodeRule(models.Model):
    """What becomes of a node's exams that name no department: closed, or (without a row) open."""

    node = models.CharField(max_length=64, unique=True)
    closed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"{self.node}: {'closed' if self.closed else 'open'}"
