"""Folds over journals: what the records of a surface add up to."""
