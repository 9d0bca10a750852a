"""Import of media: uploaded to a folder here, looked at, confirmed, and passed on by STOW-RS."""
