"""The stock resolver: shares at Interactive Brokers."""
