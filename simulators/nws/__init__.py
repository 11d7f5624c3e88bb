"""The National Weather Service's API on loopback: forecasts, observations and climate reports of Central Park."""
