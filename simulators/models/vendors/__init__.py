"""How each vendor asks, answers and refuses: one module a vendor, each with one class of the same shape."""
