"""The signal feed: the only process subscribers reach."""
