"""Execution without a socket, on the prices of a real venue."""
