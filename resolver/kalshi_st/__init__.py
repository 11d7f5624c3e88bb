"""The resolver of the short-term surface."""
