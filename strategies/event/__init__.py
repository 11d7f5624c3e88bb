"""Event contracts: what their own text says, and what trading them costs."""
