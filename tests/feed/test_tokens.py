"""Tokens and the file they are kept in."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Refuse
from domain.vocabulary import Surface
from feed import tokens
from feed.guard import Guard
from feed.problems import Problem
from feed.token_store import TokenStore, Unreadable, load
from feed.tokens import Scope

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
READ = (Scope.FEED_READ,)
FX = (Surface.FX,)


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "state" / "subscribers.json")


def test_a_token_has_the_documented_form_and_names_its_id() -> None:
    token, token_id = tokens.create()

    prefix, shown_id, random, checksum = token.split("_")
    assert (prefix, shown_id) == ("tbs", token_id)
    assert [len(part) for part in (shown_id, random, checksum)] == [8, 32, 6]
    assert tokens.parse(token) == token_id


@given(position=st.integers(0, 51), letter=st.sampled_from("0AZaz_é"))
def test_a_slip_of_the_pen_is_noticed_without_asking_anybody(position: int, letter: str) -> None:
    token, token_id = tokens.create()
    changed = token[:position] + letter + token[position + 1 :]

    assert tokens.parse(changed) == (token_id if changed == token else None)


def test_only_the_right_token_is_the_subscribers(store: TokenStore) -> None:
    token, subscriber = store.add(label="a", scopes=READ, surfaces=FX, now=NOW)
    other, _ = tokens.create()

    assert tokens.verify(token, subscriber)
    assert not tokens.verify(other, subscriber)
    assert not tokens.verify(token, None)


def test_the_file_holds_no_token_and_only_its_owner_may_read_it(store: TokenStore, tmp_path: Path) -> None:
    token, subscriber = store.add(label="Ann", scopes=READ, surfaces=FX, now=NOW)
    path = tmp_path / "state" / "subscribers.json"

    assert path.stat().st_mode & 0o777 == 0o600
    assert token.split("_")[2] not in path.read_text()
    assert load(path) == store.list() == (subscriber,)
    store.revoke(subscriber.id, now=NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


def test_a_subscriber_is_valid_from_the_first_moment_up_to_the_last(store: TokenStore) -> None:
    day = timedelta(days=1)
    _, one = store.add(label="a", scopes=READ, surfaces=FX, now=NOW, not_before=NOW + day, expires_at=NOW + 2 * day)

    valid = [one.is_valid(NOW + hours * timedelta(hours=1)) for hours in (23, 24, 47, 48)]

    assert valid == [False, True, True, False]


def test_a_revoked_token_stays_revoked(store: TokenStore) -> None:
    _, subscriber = store.add(label="a", scopes=READ, surfaces=FX, now=NOW)

    first = store.revoke(subscriber.id, now=NOW)
    again = store.revoke(subscriber.id, now=NOW + timedelta(days=1))

    assert first == again == store.list()[0]
    assert not first.is_valid(NOW)
    with pytest.raises(Refuse):
        store.revoke("nobody00", now=NOW)


def test_a_subscriber_has_two_tokens_while_one_takes_over_from_the_other(store: TokenStore) -> None:
    hour = timedelta(hours=1)
    _, old = store.add(label="Ann", scopes=READ, surfaces=FX, now=NOW, expires_at=NOW + 100 * hour)

    token, fresh = store.rotate(old.id, now=NOW, old_ends_at=NOW + hour, expires_at=NOW + 9 * hour)

    ending, kept = store.list()
    assert tokens.verify(token, kept)
    assert (kept.label, kept.scopes, kept.surfaces, kept.subscriber_id) == ("Ann", READ, FX, old.id)
    assert (ending.id, ending.expires_at, kept.expires_at) == (old.id, NOW + hour, NOW + 9 * hour)
    with pytest.raises(Refuse, match="two"):
        store.rotate(fresh.id, now=NOW, old_ends_at=NOW + hour)
    third = store.rotate(fresh.id, now=NOW + hour, old_ends_at=NOW + 20 * hour)[1]
    assert third.subscriber_id == old.id
    assert store.list()[1].expires_at == NOW + 9 * hour  # an overlap never makes a token last longer


def test_only_a_token_that_is_valid_is_replaced(store: TokenStore) -> None:
    _, old = store.add(label="a", scopes=READ, surfaces=FX, now=NOW)
    store.revoke(old.id, now=NOW)

    with pytest.raises(Refuse, match="revoked"):
        store.rotate(old.id, now=NOW, old_ends_at=NOW)
    with pytest.raises(Refuse):
        store.rotate("nobody00", now=NOW, old_ends_at=NOW)


def test_an_unknown_id_and_a_wrong_secret_cost_the_same_work(store: TokenStore, tmp_path: Path) -> None:
    path = tmp_path / "state" / "subscribers.json"
    good, made = store.add(label="a", scopes=READ, surfaces=FX, now=NOW)
    guard = Guard(path)
    wrong_secret = forged(made.id)
    looks: list[str] = []
    guard.refresh = lambda: looks.append("looked") or False  # type: ignore[func-returns-value,method-assign]

    notes = []
    for token in (tokens.create()[0], wrong_secret):
        with pytest.raises(Problem) as refused:
            guard.admit(f"Bearer {token}", Scope.FEED_READ, NOW)
        notes.append((refused.value.note, refused.value.body))

    assert [note for note, _ in notes] == ["unknown", "secret"]
    assert notes[0][1] == notes[1][1]
    assert looks == ["looked", "looked"]
    assert guard.admit(f"Bearer {good}", Scope.FEED_READ, NOW) == made


def forged(token_id: str) -> str:
    """Return a token of the right form for somebody else's id."""
    stem = f"tbs_{token_id}_{'x' * 32}"
    return f"{stem}_{tokens._checksum(stem)}"


def test_a_subscriber_good_for_nothing_is_refused(store: TokenStore) -> None:
    with pytest.raises(Refuse):
        store.add(label="a", scopes=(), surfaces=FX, now=NOW)
    with pytest.raises(Refuse):
        store.add(label="a", scopes=READ, surfaces=FX, now=NOW, not_before=NOW, expires_at=NOW)


def test_many_writers_lose_nothing(store: TokenStore) -> None:
    threads = [
        threading.Thread(target=lambda: store.add(label="a", scopes=READ, surfaces=FX, now=NOW)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.list()) == 20


@pytest.mark.parametrize("content", [b"", b"{}", b'[{"id":1}]', b"\xff", b'[{"id":"a"}]'])
def test_a_spoilt_file_is_an_error_that_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "subscribers.json"
    path.write_bytes(content)

    with pytest.raises(Unreadable, match="restore the file"):
        load(path)


def test_no_file_means_no_subscribers(tmp_path: Path) -> None:
    assert load(tmp_path / "subscribers.json") == ()


def test_a_token_made_a_moment_ago_is_let_in_at_once(store: TokenStore, tmp_path: Path) -> None:
    guard = Guard(tmp_path / "state" / "subscribers.json")
    token, made = store.add(label="late", scopes=READ, surfaces=FX, now=NOW)

    admitted = guard.admit(f"Bearer {token}", Scope.FEED_READ, NOW)

    assert made.id == admitted.id
