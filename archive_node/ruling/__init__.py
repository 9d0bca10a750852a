"""What rules look at, pure: the facts of a study, and conditions on them."""
