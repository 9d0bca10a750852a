"""What is made before it is asked for: frames, thumbnails, metadata of series."""
