"""One association: PDUs, negotiation, messages; the same for both sides."""
