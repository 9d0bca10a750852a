"""Storage commitment (PS3.4 J): the check of each instance, and the durable queue of requests."""
