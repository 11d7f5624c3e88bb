"""The trading loops: one process a surface, from scan to publication."""
