"""Coinbase Exchange: public prices of crypto assets."""
