"""IBKR through its Client Portal Web API."""
