"""The folder a client works in: its files, their permissions, and the locks that keep it to one process."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from tbot_client.config import Config, parse
from tbot_client.errors import Busy, Misconfigured


@dataclass(frozen=True, slots=True)
class Home:
    """Names of the files below ``path``."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def heads(self) -> Path:
        return self.path / "heads.jsonl"

    @property
    def keys(self) -> Path:
        return self.path / "keys.json"

    @property
    def paper(self) -> Path:
        return self.path / "paper.jsonl"

    @property
    def kalshi(self) -> Path:
        return self.path / "kalshi.jsonl"

    @property
    def ibkr(self) -> Path:
        return self.path / "ibkr.jsonl"

    @property
    def stop(self) -> Path:
        return self.path / "STOP"

    @property
    def contact(self) -> Path:
        return self.path / "contact.json"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def dry(self) -> "Home":
        """Where a dry run keeps its own journal, so that it never mixes with real trades."""
        return Home(self.path / "dry-run")

    def is_stopped(self) -> bool:
        """Tell whether entries are stopped; a STOP file that can't be looked at counts as present."""
        try:
            return self.stop.exists()
        except OSError:
            return True


def default_home() -> Path:
    """Return ``$TBOT_CLIENT_HOME`` or ``~/.tbot-client``."""
    return Path(os.environ.get("TBOT_CLIENT_HOME") or Path.home() / ".tbot-client")


def load(home: Home) -> Config:
    """Read the config file and the token files it names.

    Raises:
        Misconfigured: it is missing, readable by others, or wrong.
    """
    text = private_text(home.config, "run `tbot-client init` first")
    config = parse(text, home.path)
    feed = replace(config.feed, token=_token(config.feed.token, config.feed.token_file, home, "feed"))
    broker = config.broker
    if broker.kind == "oanda":
        broker = replace(broker, token=_token(broker.token, broker.token_file, home, "broker"))
    elif broker.kind == "kalshi":
        broker = replace(broker, token=private_text(home.path / broker.key_file, "correct key_file in [broker]"))
    return replace(config, feed=feed, broker=broker)


def _token(token: str, file: str, home: Home, section: str) -> str:
    if file and not token:
        token = private_text(home.path / file, f"correct token_file in [{section}]").strip()
    if not is_token(token):
        raise Misconfigured(f"token or token_file in [{section}]", "none that is usable", "add it to config.toml")
    return token


def is_token(text: str) -> bool:
    """Tell whether ``text`` can stand in a header as a token."""
    return bool(text) and text.isascii() and not any(c.isspace() for c in text)


def private_text(path: Path, todo: str) -> str:
    """Read a file that holds secrets.

    Raises:
        Misconfigured: it can't be read, or others can read it too.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise Misconfigured(f"{path} with mode 600", f"{mode:o}", f"others can read it: chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"a readable file {path}", type(error).__name__, todo) from error


@contextlib.contextmanager
def locked(home: Home, config: Config) -> Iterator[None]:
    """Hold this home and this broker account; two programs trading one account would double every entry.

    Raises:
        Busy: another process holds one of them.
    """
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(home.lock), _held(_account_lock(home, config)):
        yield


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Busy("to be the only client here", f"{path} held by another process", "stop that one first") from error
    try:
        yield
    finally:
        lock.release()


def _account_lock(home: Home, config: Config) -> Path:
    if config.broker.kind == "paper":
        return home.path / ".paper.lock"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tbot-client"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = hashlib.sha256(f"{config.broker.api_url} {config.broker.account_id}".encode()).hexdigest()[:16]
    return cache / f"account-{name}.lock"
