"""A made "Fréjus day": DICOM files of invented patients, for the demo, the tests and benchmarks."""
