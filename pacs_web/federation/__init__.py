"""Asks many nodes at once and makes one answer of theirs."""
