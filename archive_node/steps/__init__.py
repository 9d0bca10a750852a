"""One verb, one file; each may run twice with the same result."""
