"""Interactive Brokers through the socket of TWS or IB Gateway."""
