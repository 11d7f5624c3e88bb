"""Coinbase Exchange's public prices of bitcoin on loopback."""
