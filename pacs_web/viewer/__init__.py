"""Steps five and six: see one image, read its header."""
