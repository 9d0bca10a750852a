"""Elements of stored objects as DICOM JSON and XML; large values by address."""
