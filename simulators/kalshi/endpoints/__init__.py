"""Endpoints of the venue, by what they are about."""
