"""The resolver of the FX surface."""
