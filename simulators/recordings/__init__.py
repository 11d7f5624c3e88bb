"""Recorded days of weather, questions and bitcoin, and how they come to lie on the simulated clock."""
