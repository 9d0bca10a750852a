"""What is kept on the node's disk, and for how long it may not be taken away."""

from __future__ import annotations

from dataclasses import dataclass

from dicom_node.config import values
from pacs_common.env import Env


@dataclass(frozen=True)
class Storage:
    """What the node keeps, and how much; sizes in bytes."""

    private_classes: tuple[str, ...]
    keep_non_patient: bool
    default_issuer: str
    reserve_bytes: int
    rendition_cache_bytes: int
    in_use_s: float
    audit_days: int


def read_storage(env: Env) -> Storage:
    """Return these settings; raises SettingError with one line."""
    return Storage(
        private_classes=values.private_classes(
            env.text("PACS_PRIVATE_CLASSES", "", "Private SOP classes that are stored, by comma."),
            "PACS_PRIVATE_CLASSES",
        ),
        keep_non_patient=env.boolean(
            "PACS_KEEP_NON_PATIENT",
            False,
            "Take objects of no patient (hanging protocols, palettes) instead of 0x0122.",
        ),
        default_issuer=env.text(
            "PACS_DEFAULT_ISSUER",
            "LOCAL",
            "Issuer of Patient ID where an object names none; one hospital shares one.",
        ),
        reserve_bytes=env.integer(
            "PACS_RESERVE_BYTES",
            2 << 30,
            "Free disk space below which C-STORE answers 0xA700.",
        ),
        rendition_cache_bytes=env.integer(
            "PACS_RENDITION_CACHE_BYTES", 2 << 30, "Most disk space that renditions may take."
        ),
        in_use_s=env.number(
            "PACS_IN_USE_S", 300.0, "A study read within this time is not evicted."
        ),
        audit_days=env.integer(
            "PACS_AUDIT_DAYS", 365, "Days for which the node keeps its audit.", low=1, high=36500
        ),
    )
