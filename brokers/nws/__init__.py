"""The National Weather Service: forecasts, observations and climate reports."""
