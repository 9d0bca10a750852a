from __future__ import annotations

from django.core.validators import RegexValidator, URLValidator
from django.db import models


class Node(models.Model):
    """One DICOM node: the name is its `PACS_NODE_NAME`, and the audience of tickets for it."""

    name = models.CharField(
        max_length=64, unique=True, validators=[RegexValidator(r"^[A-Za-z0-9_-]+$")]
    )
    url = models.CharField(max_length=300, validators=[URLValidator(["http", "https"])])
    position = models.PositiveIntegerField(default=0)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name
