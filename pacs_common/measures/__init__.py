"""What a role counts for Prometheus, in all of its processes, and how it is told."""
