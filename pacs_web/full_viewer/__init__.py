"""The full viewer (OHIF): installed from its published package, patched, served at /viewer/."""

from pacs_web.full_viewer.links import address, installed

__all__ = ["address", "installed"]
