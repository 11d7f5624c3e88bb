"""Wire-true local venues, each started by its own command line."""
