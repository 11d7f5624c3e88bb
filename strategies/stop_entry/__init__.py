"""The stop-entry strategy of shares: a buy stop above the market, a trailing stop below the position."""
