"""What the market did, and when it is open."""
