"""The DICOM port: its processes, its limits, who is let in, and what serves each request."""
