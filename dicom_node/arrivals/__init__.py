"""What came to this node: studies as they arrive, and what each association brought."""
