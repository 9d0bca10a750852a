"""A real tape library: a changer that `mtx` moves, and drives with LTFS or with raw tape files."""
