"""Entry point: ``python -m simulators.kalshi.catalogue`` prints what is listed at a moment."""

from simulators.kalshi.catalogue.table import main

if __name__ == "__main__":
    raise SystemExit(main())
