"""Cold storage: policy -> migrate -> verify -> purge -> recall."""
