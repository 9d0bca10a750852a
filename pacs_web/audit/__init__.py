"""Who looked at which patient's data, when, and from where."""
