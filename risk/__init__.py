"""The ten gates, the limits they hold a trade to, and its size: pure functions over values."""
