"""Entry point: ``python -m simulators.tws``."""

from simulators.tws.run import main

if __name__ == "__main__":
    raise SystemExit(main())
