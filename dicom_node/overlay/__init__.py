"""What corrections change in an object as it leaves; its stored bytes stay (custody rule 10)."""
