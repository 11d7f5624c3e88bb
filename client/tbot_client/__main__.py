"""The same program as the `tbot-client` command, for `python -m tbot_client`."""

from tbot_client.cli import main

if __name__ == "__main__":
    main()
