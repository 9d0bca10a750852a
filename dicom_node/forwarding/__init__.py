"""What the node sends on by itself: rules, and the durable queue of what is under way."""
