"""Brokers: a vendor SDK goes in, the values of `port` come out."""
