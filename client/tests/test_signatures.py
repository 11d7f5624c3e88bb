"""Who wrote it: nothing is acted on that the publisher did not sign, with a key that counts, in its time."""

from hashlib import sha256

import pytest
from fake_feed import SigningKey

from tbot_client import image
from tbot_client.book import Book
from tbot_client.distrust import told
from tbot_client.newhome import begin_anew
from tbot_client.state import State


def resign(feed, at, key):
    """Replace the signature of a line by that of another key, or by none."""
    raw, h = feed.lines[at][4], feed.lines[at][2]
    bare = raw[: raw.index(b',"sig":"')]
    feed.lines[at][4] = bare + (b"}" if key is None else f',"sig":"{key.sign(h)}"}}'.encode())


def trust_anew(client):
    book = Book(client.home.journal, client.clock)
    begin_anew(client.home, book, client.clock)
    book.close()


FORGERIES = {
    "unsigned": lambda feed: None,
    "unknown key": lambda feed: SigningKey(),
    "key of another surface": lambda feed: another_surface(feed),
    "key not vouched for": lambda feed: served(feed, SigningKey(from_="2001-01-01T00:00:00.000000Z")),
    "key that begins later": lambda feed: served(
        feed, SigningKey(from_="2999-01-01T00:00:00.000000Z", endorser=feed.key)
    ),
}


def another_surface(feed):
    return served(feed, SigningKey(surface="stk"))


def served(feed, key):
    feed.keys.append(key.entry)
    return key


@pytest.mark.proves("F10", "row 11")
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_open_is_not_traded_stops_entries_for_good_and_says_which_line_it_was(
    client, feed, broker, forgery, capsys
):
    held = feed.open()
    client.run_once()
    forged = feed.open()
    resign(feed, 1, FORGERIES[forgery](feed))

    assert client.run_once() == 1
    later = feed.open()
    assert client.run_once() == 1

    assert len(broker.orders) == 1
    assert feed.bodies(forged) == []
    assert feed.bodies(later)[0]["reason"] == "history"
    assert "fx/signals line 2" in client.state.distrust
    assert "No more entries" in capsys.readouterr().err
    feed.end(held)
    assert client.run_once() == 1
    assert broker.open == {}


@pytest.mark.proves("F10", "row 11")
def test_a_signature_of_other_bytes_is_not_believed(client, feed, broker):
    client.run_once()
    feed.open()
    raw = feed.lines[0][4]
    wrong = feed.key.sign("0" * 64).encode()
    feed.lines[0][4] = raw[: raw.index(b',"sig":"') + 8] + wrong + b'"}'

    assert client.run_once() == 1

    assert broker.orders == []
    assert "does not match key" in client.state.distrust


@pytest.mark.proves("F10")
@pytest.mark.parametrize("forgery", ["unsigned", "unknown key"])
def test_a_forged_close_closes_nothing_and_a_genuine_one_still_does(client, feed, broker, forgery):
    held = feed.open()
    client.run_once()
    feed.end(held)
    resign(feed, 1, FORGERIES[forgery](feed))
    assert client.run_once() == 1
    assert len(broker.open) == 1

    feed.end(held)
    assert client.run_once() == 1

    assert broker.open == {}


@pytest.mark.proves("F10", "row 11")
@pytest.mark.parametrize("head", [None, SigningKey()])
def test_a_head_that_the_publisher_did_not_sign_stops_entries(client, feed, broker, head):
    feed.open()
    client.run_once()
    feed.head_sig = lambda h: None if head is None else head.sign(h)
    signal = feed.open()

    assert client.run_once() == 1

    assert "fx/signals head 2" in client.state.distrust
    assert feed.bodies(signal)[0]["reason"] == "history"
    assert len(broker.orders) == 1


@pytest.mark.proves("F10", "row 11")
def test_a_whole_past_sealed_anew_with_the_same_key_is_found_by_what_was_remembered(client, feed, broker):
    feed.open()
    feed.open()
    client.run_once()
    feed.lines.clear()
    feed.heads.clear()
    for _ in range(3):
        feed.open()

    assert client.run_once() == 1

    assert len(broker.orders) == 2
    assert "fx/signals" in client.state.distrust


def test_the_first_key_is_remembered_and_said_aloud_once(client, feed, broker, capsys):
    feed.open()
    client.run_once()
    first = capsys.readouterr().err
    feed.open()
    client.run_once()

    assert first.count(f"publisher key {feed.key.id} of fx") == 1
    assert "publisher key" not in capsys.readouterr().err
    assert list(client.state.keys) == [feed.key.id]
    assert feed.key.id in client.home.keys.read_text()


def test_another_first_key_is_not_taken_for_the_remembered_one_even_after_a_restart(client, feed, broker):
    feed.open()
    client.run_once()
    feed.key = SigningKey()
    feed.keys = [feed.key.entry]
    feed.open()

    assert client.run_once() == 1

    assert len(broker.orders) == 1


@pytest.mark.proves("row 11")
def test_a_key_that_the_old_one_vouches_for_is_followed_and_the_old_one_ends(client, feed, broker):
    feed.open()
    client.run_once()
    old = feed.key
    feed.rotate()
    signal = feed.open()
    assert client.run_once() == 0
    assert feed.stages(signal) == ["ack", "executed"]

    feed.open()
    resign(feed, 2, old)
    assert client.run_once() == 1

    assert len(broker.orders) == 2
    assert f"key {old.id} counts from" in client.state.distrust


@pytest.mark.proves("row 11")
def test_a_newer_key_cannot_seal_an_older_line(client, feed, broker):
    feed.open()
    client.run_once()
    feed.rotate()
    feed.open()
    client.run_once()
    real = feed.now()
    feed.now = lambda: real.replace(year=real.year - 1)
    feed.open()
    feed.now = lambda: real

    assert client.run_once() == 1

    assert f"key {feed.key.id} counts from" in client.state.distrust


def test_a_key_vouches_for_one_heir_only(client, feed, broker):
    feed.open()
    client.run_once()
    stolen = feed.key
    feed.rotate()
    feed.open()
    client.run_once()
    thief = served(feed, SigningKey(from_=feed.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"), endorser=stolen))
    feed.open()
    resign(feed, 2, thief)

    assert client.run_once() == 1

    assert len(broker.orders) == 2


def test_a_pinned_key_is_the_only_one_that_counts(client, feed, broker):
    client.with_(feed={"publisher_keys": (f"fx:{feed.key.id}",)})
    good = feed.open()
    assert client.run_once() == 0
    assert feed.stages(good) == ["ack", "executed"]

    client.with_(feed={"publisher_keys": (f"fx:{SigningKey().id}",)})
    feed.open()
    assert client.run_once() == 1

    assert len(broker.orders) == 1


def test_a_graver_cause_does_not_hide_behind_a_wrong_pin(client, feed, broker):
    client.with_(feed={"publisher_keys": (f"fx:{SigningKey().id}",)})
    feed.open()
    feed.open()
    client.run_once()
    pinned = {"publisher_keys": (f"fx:{feed.key.id}",)}
    client.with_(feed=pinned)
    assert client.state.distrust_signers == [f"fx:{feed.key.id}"]
    assert "resumes entries" in told(client.state, client.config.feed)
    resign(feed, 1, None)

    assert client.run_once() == 1

    assert "carries none" in told(client.state, client.config.feed)
    assert "resumes entries" not in told(client.state, client.config.feed)
    assert broker.orders == []


def test_without_a_pin_for_its_surface_a_strange_key_is_no_wrong_pin(client, feed, broker):
    client.with_(feed={"publisher_keys": ("stk:0123456789abcdef",)})
    feed.open()
    client.run_once()
    feed.open()
    resign(feed, 1, served(feed, SigningKey(from_="2001-01-01T00:00:00.000000Z")))

    assert client.run_once() == 1

    assert client.state.distrust_signers == []
    assert "begins anew" in client.state.distrust
    assert "publisher_keys" not in client.state.distrust


def test_a_journal_begun_anew_still_knows_which_key_it_was(client, feed, broker):
    client.with_(feed={"publisher_keys": (f"fx:{SigningKey().id}",)})
    feed.open()
    client.run_once()
    plain = image.of(client.state)
    restored, older = State(), State()

    image.restore(restored, plain)
    image.restore(older, {name: value for name, value in plain.items() if name != "distrust_signers"})

    assert restored.distrust_signers == [f"fx:{feed.key.id}"]
    assert (older.distrust, older.distrust_signers) == (restored.distrust, [])


def test_a_line_from_before_a_pinned_key_is_left_out_without_an_alarm(client, feed, broker):
    old = feed.open()
    feed.rotate()
    new = feed.open()
    client.with_(feed={"publisher_keys": (f"fx:{feed.key.id}",)})

    assert client.run_once() == 0

    assert feed.bodies(old) == []
    assert feed.stages(new) == ["ack", "executed"]


def test_a_feed_that_nobody_signs_is_followed_only_by_who_said_so(client, feed, broker):
    feed.key, feed.keys = None, []
    signal = feed.open()
    assert client.run_once() == 1
    assert "carries none" in client.state.distrust
    trust_anew(client)

    client.with_(feed={"require_signatures": False})
    assert client.run_once() == 0

    assert feed.stages(signal) == ["ack", "executed"]


def test_keys_that_cannot_be_had_now_hold_a_page_back_and_lose_nothing_of_it(client, feed, broker):
    with client.running():
        client.until(lambda: feed.polls)
        feed.answer_once("/api/keys", 503, b'{"code":"keys"}', {"Retry-After": "0"})
        feed.answer_once("/api/keys", 502, b"<html>")
        signal = feed.open()
        client.until(lambda: feed.stages(signal) == ["ack", "executed"])

    assert feed.script == []
    assert len(broker.orders) == 1


def test_a_new_history_forgets_keys_and_keeps_the_evidence(client, feed, broker):
    test_another_first_key_is_not_taken_for_the_remembered_one_even_after_a_restart(client, feed, broker)
    trust_anew(client)
    feed.lines.clear()
    feed.heads.clear()
    signal = feed.open()

    client.run_once()

    assert feed.bodies(signal)[0]["decision"] == "accept"
    (kept,) = client.home.path.glob("heads-before-*.jsonl")
    assert len(kept.read_text().splitlines()) >= 2


def test_an_entry_of_the_keys_that_is_not_what_its_id_says_does_not_count(client, feed, broker):
    feed.keys[0]["public"] = SigningKey().entry["public"]
    assert sha256(b"").hexdigest()[:16] != feed.keys[0]["key"]
    feed.open()

    assert client.run_once() == 1

    assert broker.orders == []
    assert client.state.keys == {}
