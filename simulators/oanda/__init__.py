"""Local venue speaking the OANDA v20 REST and streaming protocol."""
