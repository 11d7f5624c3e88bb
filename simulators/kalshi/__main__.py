"""Entry point: ``python -m simulators.kalshi``."""

from simulators.kalshi.run import main

if __name__ == "__main__":
    raise SystemExit(main())
