"""The crossover strategy: a fast moving average against a slow one on closed bars, entered at market in a bracket."""
