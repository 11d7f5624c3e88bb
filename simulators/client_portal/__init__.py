"""Interactive Brokers' Client Portal Web API on loopback, in front of the shared simulated venue."""
