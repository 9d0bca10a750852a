"""What is made before it is asked for, and how it leaves the node."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dicom_node.config import values
from pacs_common.env import Env


class Keeping(StrEnum):
    """What becomes of an image's lossless JPEG."""

    CACHE = "cache"
    AT_REST = "at-rest"
    OFF = "off"


@dataclass(frozen=True)
class Renditions:
    """What is prepared, when, and which web server in front sends it."""

    renditions: Keeping
    prepare_after_s: float
    accel_prefix: str


def read_renditions(env: Env) -> Renditions:
    """Return these settings; raises SettingError with one line."""
    keeping = env.text(
        "PACS_RENDITIONS",
        Keeping.CACHE,
        "Lossless JPEG of images: kept beside them (cache), stored in their place before the first"
        " archiving (at-rest), or made only when asked for (off).",
    )
    return Renditions(
        renditions=Keeping(values.one_of(keeping, "PACS_RENDITIONS", tuple(Keeping))),
        prepare_after_s=env.number(
            "PACS_PREPARE_AFTER_S",
            60.0,
            "Quiet time after which a study's frames, thumbnails and metadata are made.",
        ),
        accel_prefix=values.internal_prefix(
            env.text(
                "PACS_ACCEL_PREFIX",
                "",
                "Internal location of nginx for <data>/renditions/: it sends kept frames. Whoever"
                " asks the node, the portal too, must then ask through that nginx.",
            ),
            "PACS_ACCEL_PREFIX",
        ),
    )
