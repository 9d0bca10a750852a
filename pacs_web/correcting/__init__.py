"""Correcting whose an exam is: on each node that holds it, undoably (custody rule 10)."""
