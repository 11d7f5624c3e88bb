"""Adapters: a vendor's SDK goes in, domain values come out."""
