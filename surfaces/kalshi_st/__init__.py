"""The short-term surface: weather, crypto prices and games at Kalshi."""
