"""The resolver of the long-term surface."""
