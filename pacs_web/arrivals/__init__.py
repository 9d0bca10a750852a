"""The technologists' job: what arrived, what did not, and what a person must decide or repair."""
