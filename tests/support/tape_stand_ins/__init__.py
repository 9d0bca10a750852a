"""Stands in for a tape library that nobody has here: programs named like the real ones.

They are run as processes, by path, through the options of a `library:` vault, and keep what a
library keeps (slots, drives, tapes with filemarks and a position) in one folder. A file in its
`faults/` makes one of them fail as the real one does. Output and exit codes follow mtx 1.3.12,
mt-st, dd and st(4); of LTFS only what its own reports show is followed.
"""
