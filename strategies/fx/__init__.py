"""The FX strategy: breakouts and pullbacks of major pairs on closed bars, in ATR brackets."""
