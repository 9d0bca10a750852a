"""IT's pages for people, groups and how far they reach; no patient data."""
