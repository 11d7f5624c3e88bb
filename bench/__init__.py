"""Benchmarks beside their peers: each prints ratios measured in the same run."""
