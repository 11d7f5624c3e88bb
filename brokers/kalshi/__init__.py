"""Kalshi: event contracts, over the current wire and the older one."""
