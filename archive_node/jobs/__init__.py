"""The row is the queue: states, claims with leases, and the runner (custody rule 9)."""
