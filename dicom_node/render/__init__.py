"""Pixels: decoded, transcoded, pictured. Knows data sets and bytes, nothing of index or store."""
