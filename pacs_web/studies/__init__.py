"""Finding patients and exams, seeing an exam, taking it along."""
