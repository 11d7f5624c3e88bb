"""OANDA v20, for practice and live accounts."""
