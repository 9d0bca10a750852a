"""Where copies lie: one interface, its kinds, and the format of a member. No Django here."""
