"""Putting Argens on a machine: the demo here, production beside it."""
