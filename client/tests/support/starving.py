"""A client whose files may not grow: `python starving.py HOME BYTES [SECONDS]` runs it with RLIMIT_FSIZE.

The paper broker's file is shorter than the journal, so that the journal is full while the broker still works.
"""

import os
import resource
import sys
from pathlib import Path

from tbot_client.book import Book
from tbot_client.brokers.paper import PaperBroker
from tbot_client.clock import Clock
from tbot_client.home import Home, load
from tbot_client.loop import Loop

home, limit = Home(Path(sys.argv[1])), int(sys.argv[2])
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else None
config, clock = load(home), Clock()
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
book = Book(home.journal, clock)
broker = PaperBroker(config.broker, home.paper, clock.now)
try:
    code = Loop(config, home, clock, book, broker, is_dry=False).run(once=seconds is None, for_s=seconds)
except OSError as error:
    print(f"OSError {error}", file=sys.stderr)
    code = 1
sys.stderr.flush()
os._exit(code)
