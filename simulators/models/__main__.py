"""Entry point: ``python -m simulators.models``."""

from simulators.models.run import main

if __name__ == "__main__":
    raise SystemExit(main())
