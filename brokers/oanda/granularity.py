"""The bar lengths OANDA offers, apart from the SDK so that settings can be checked without it."""

from collections.abc import Mapping

# seconds -> OANDA's name. Source: v20 "CandlestickGranularity"; weeks and months have no fixed length.
GRANULARITY: Mapping[int, str] = {
    5: "S5", 10: "S10", 15: "S15", 30: "S30",
    60: "M1", 120: "M2", 240: "M4", 300: "M5", 600: "M10", 900: "M15", 1800: "M30",
    3600: "H1", 7200: "H2", 10800: "H3", 14400: "H4", 21600: "H6", 28800: "H8", 43200: "H12", 86400: "D",
}  # fmt: skip
