"""Entry point: ``python -m simulators.oanda``."""

from simulators.oanda.run import main

if __name__ == "__main__":
    raise SystemExit(main())
