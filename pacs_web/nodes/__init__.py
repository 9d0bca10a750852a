"""The nodes that the portal knows, and how to speak to each."""
