"""One modality's store: association -> ingest -> store -> index -> render -> web."""
