"""The venue behind the TWS and Client Portal simulators: recorded prices, matching, accounts."""
