"""Entry point: ``python -m simulators.client_portal``."""

from simulators.client_portal.run import main

if __name__ == "__main__":
    raise SystemExit(main())
