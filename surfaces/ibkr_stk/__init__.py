"""The stock surface: shares at Interactive Brokers, through either of its two connections."""
