"""What the node does for a peer that asks: one module or two for each service."""
