"""`make demo`: the whole hospital on one machine, with a small sample day in it."""
