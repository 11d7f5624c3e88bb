"""The Kalshi venue on loopback: today's V2 wire and the older one side by side, over synthetic books."""
