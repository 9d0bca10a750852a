"""Objects of no patient (PS3.4 GG): hanging protocols, palettes, implants, protocols, inventories.

They have no study and no series: they are kept whole and found by nobody's query.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom.uid import (
    ColorPaletteStorage,
    CTDefinedProcedureProtocolStorage,
    GenericImplantTemplateStorage,
    HangingProtocolStorage,
    ImplantAssemblyTemplateStorage,
    ImplantTemplateGroupStorage,
    InventoryStorage,
    ProtocolApprovalStorage,
    XADefinedProcedureProtocolStorage,
)

CLASSES = tuple(  # PS3.4 table GG.3-1
    str(sop_class)
    for sop_class in (
        HangingProtocolStorage,
        ColorPaletteStorage,
        GenericImplantTemplateStorage,
        ImplantAssemblyTemplateStorage,
        ImplantTemplateGroupStorage,
        CTDefinedProcedureProtocolStorage,
        ProtocolApprovalStorage,
        XADefinedProcedureProtocolStorage,
        InventoryStorage,
    )
)
# What its class calls an object's short and long name; the first one that has a value counts.
_LABELS = (
    "ContentLabel",
    "HangingProtocolName",
    "ImplantTemplateGroupName",
    "ImplantAssemblyTemplateName",
    "ImplantName",
    "ProtocolName",
)
_DESCRIPTIONS = (
    "ContentDescription",
    "HangingProtocolDescription",
    "ImplantTemplateGroupDescription",
)
PATHS = (*_LABELS, *_DESCRIPTIONS)


def columns_of(text: Callable[[str], str]) -> dict[str, Any]:
    """Return what the index tells of such an object, `text` giving the text of a path."""
    return {
        "label": next(filter(None, map(text, _LABELS)), ""),
        "description": next(filter(None, map(text, _DESCRIPTIONS)), ""),
    }
