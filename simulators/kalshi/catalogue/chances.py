"""Probabilities of a normal distribution, kept away from certainty."""

import math

FLOOR = 0.005


def below(x: float) -> float:
    """Return the chance that a standard normal number is below ``x``."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def logit(p: float) -> float:
    """Return the log odds of a probability."""
    return math.log(p / (1 - p))


def logistic(x: float) -> float:
    """Return the probability of log odds."""
    return 1 / (1 + math.exp(-x))


def kept_open(p: float) -> float:
    """Return a probability that no venue would call certain."""
    return min(max(p, FLOOR), 1 - FLOOR)
