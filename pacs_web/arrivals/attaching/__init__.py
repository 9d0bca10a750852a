"""Attaching a document to an exam: a PDF becomes one of the exam's series."""
