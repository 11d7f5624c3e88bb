"""The FX surface: eight majors at OANDA."""
