"""Window presets: those of the file, and the usual ones of the modality."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from pacs_web.federation.dicom_json import Attributes, numbers, values


@dataclass(frozen=True)
class Preset:
    """A named window: centre and width in the units of the modality."""

    label: str
    center: float
    width: float

    @property
    def window(self) -> str:
        """Return the value of the `window` parameter (PS3.18 8.3.5.1.3)."""
        return f"{self.center:g},{self.width:g}"


def presets(instance: Attributes, modality: str) -> list[Preset]:
    """Return the file's own windows first, then the usual ones of a CT."""
    return _of_file(instance) + (_of_ct() if modality == "CT" else [])


def _of_file(instance: Attributes) -> list[Preset]:
    centres, widths = numbers(instance, "WindowCenter"), numbers(instance, "WindowWidth")
    names = [str(name).strip() for name in values(instance, "WindowCenterWidthExplanation")]
    names += [""] * (len(centres) - len(names))
    return [
        Preset(name.capitalize() or _("File %(n)d") % {"n": n}, centre, width)
        for n, (name, centre, width) in enumerate(zip(names, centres, widths, strict=False), 1)
        if width >= 1
    ]


def _of_ct() -> list[Preset]:
    return [
        Preset(_("Soft tissue"), 40, 400),
        Preset(_("Lung"), -600, 1500),
        Preset(_("Bone"), 400, 1800),
        Preset(_("Brain"), 40, 80),
        Preset(_("Liver"), 60, 160),
        Preset(_("Angio"), 300, 600),
    ]
