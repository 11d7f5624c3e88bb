"""Probabilities and what is known about them: a panel of models, weather, volatility; pooling and blending."""
