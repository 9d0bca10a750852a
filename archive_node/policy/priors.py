"""Recalls the priors of a patient of whom something arrives."""

from __future__ import annotations

from collections.abc import Sequence

from archive_node.models import StudyFacts


def recall_for_arrivals(node: str, rows_new: Sequence[StudyFacts]) -> None:
    """Ask for the NEARLINE priors of studies that have just begun to arrive on a node."""
