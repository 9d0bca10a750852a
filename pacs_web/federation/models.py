from __future__ import annotations

from django.db import models


class Location(models.Model):
    """A node that held a study when it was last asked; a memory of minutes, never the truth.

    `complete` is true where every node was heard then, so that no other holds a part of it.
    """

    study_uid = models.CharField(max_length=64)
    node = models.CharField(max_length=64)
    seen_at = models.DateTimeField(db_index=True)
    complete = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study_uid", "node"], name="location_once")]

    def __str__(self) -> str:
        return f"{self.study_uid} on {self.node}"


class Continuation(models.Model):
    """Where the list of a DICOMweb search goes on behind an offset; a memory of minutes.

    The key is a digest of the question, the offset and who asked: no search is readable in it.
    """

    key = models.CharField(max_length=64, unique=True)
    token = models.TextField()
    made_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
