"""What the node asks of others: echo, store, find, move, get."""
