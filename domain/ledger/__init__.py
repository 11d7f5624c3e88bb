"""Positions, profit and bankroll: what is owned, what it made, and what may be risked."""
