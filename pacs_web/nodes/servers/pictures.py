"""Pictures of foreign servers: our short parameters as the standard has them, and thumbnails."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pacs_common.errors import NotFound
from pacs_common.resources import resource_path
from pacs_web.federation.dicom_json import text

THUMBNAIL = "/thumbnail"  # a resource that came late to PS3.18
NOT_KNOWN = {400, 404, 405, 406, 501}
NOT_PASSED = {"revision", "presentation"}
INSTANCES_LOOKED_AT = 1000
_PICTURE = re.compile(r"/instances/(?P<uid>[0-9.]+)(?:/frames/(?P<frame>[0-9]+))?/rendered\Z")


class Searched(Protocol):
    """What a middle image is looked for with."""

    def qido(self, path: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Search."""


def standard(params: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return query parameters as PS3.18 8.3.5.1 has them: a window names its function."""
    made = {}
    for name, values in params.items():
        texts = [str(one) for one in (values if isinstance(values, list) else [values])]
        if name == "window":
            texts = [_window(one) for one in texts]
        if name not in NOT_PASSED:
            made[name] = texts
    return made


def _window(written: str) -> str:
    parts = written.lower().split(",")
    return ",".join(parts if len(parts) > 2 else [*parts, "linear"])


def identity(path: str, params: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the headers by which our viewer knows whose picture was asked for, and how.

    A foreign server does not tell; the address names one instance, and a frame of it.
    """
    found = _PICTURE.search(path)
    if found is None:
        return {}
    window = params.get("window", [""])[-1].upper()
    told = {"X-Picture-Instance": found["uid"], "X-Picture-Frame": found["frame"] or "1"}
    return {**told, **({"X-Picture-Window": window} if window else {})}


def instead_of_thumbnail(server: Searched, path: str) -> str:
    """Return the address of the picture that stands for a thumbnail which a server does not know.

    Of a series or study it is the image in its middle; NotFound where it has none.
    """
    whole = path.removesuffix(THUMBNAIL)
    if "/instances/" in whole:
        return f"{whole}/rendered"
    found = server.qido(f"{whole}/instances", {"limit": INSTANCES_LOOKED_AT})
    pictured = [one for one in found if text(one, "Rows")] or found
    if not pictured:
        raise NotFound("there is no image in it")
    middle = pictured[len(pictured) // 2]
    named = whole.split("/")
    series = named[3] if len(named) > 3 else text(middle, "SeriesInstanceUID")
    return f"{resource_path(named[1], series, text(middle, 'SOPInstanceUID'))}/rendered"
