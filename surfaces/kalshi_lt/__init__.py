"""The long-term surface: politics, economics and other announced outcomes at Kalshi."""
