"""Puts the full viewer in place: fetched, checked, patched for /viewer/, made small."""
