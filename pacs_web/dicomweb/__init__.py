"""The whole network as one DICOMweb server (PS3.18): searched, retrieved from, stored to."""
