"""What a person takes of an exam: a medium for DICOM readers, the stored files, pictures."""
