"""Values and rules of the trading domain, without any input or output."""
