"""Interactive Brokers: what its two connections share; ``tws`` and ``portal`` are the connections."""
