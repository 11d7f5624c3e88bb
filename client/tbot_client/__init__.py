"""The subscriber's side of a T BOT signal feed."""

__version__ = "0.1.0"
