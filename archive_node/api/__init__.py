"""The HTTP door: docs/interfaces.md, chapter Archive."""
