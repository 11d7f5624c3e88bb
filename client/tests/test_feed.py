"""The feed's side: cursors, duplicates, a changed past, errors, and reports that must arrive."""

import re

import msgspec
import pytest

from tbot_client.book import Book
from tbot_client.clock import ticks
from tbot_client.errors import Retry, Unreachable
from tbot_client.loop import Loop
from tbot_client.wire import hash_matches, parse_page


def test_a_signal_delivered_twice_is_traded_once(client, feed, broker):
    signal = feed.open()
    client.run_once()
    feed.lines.append(feed.lines[0])
    client.run_once()
    assert len(broker.orders) == 1
    assert feed.stages(signal) == ["ack", "executed"]


def test_the_cursor_is_remembered_and_followed(client, feed, broker):
    feed.open()
    client.run_once()
    feed.open()
    client.run_once()
    assert [poll["cursor"] for poll in feed.polls] == [["c1"], ["c1"]]
    assert client.state.cursor == "c2"


def test_a_cursor_that_cannot_be_served_is_replaced_by_the_snapshot_and_nothing_open_is_forgotten(client, feed, broker):
    ended, held = feed.open(), feed.open()
    client.run_once()
    feed.end(ended)
    fresh = feed.open()
    feed.answer_once("/feed", 410, b'{"code":"cursor_expired","oldest_cursor":"c0","head_cursor":"c9"}')
    assert client.run_once() == 0
    assert [order.client_id[3:29] for order, _ in broker.open.values()] == [held[4:], fresh[4:]]
    assert client.state.cursor == f"c{len(feed.lines)}"


def test_other_surfaces_than_before_start_again_from_the_snapshot(client, feed, broker):
    signal = feed.open()
    client.run_once()
    client.with_(feed={"surfaces": ("fx",)})
    later = feed.open()
    assert client.run_once() == 0
    assert client.run_once() == 0
    assert client.state.cursor == "c2.fx"
    assert [feed.stages(each) for each in (signal, later)] == [["ack", "executed"]] * 2


def test_a_wrong_token_ends_with_four_and_says_what_to_do(client, feed):
    client.text = client.text.replace("tbs_", "tbx_")
    with pytest.raises(Unreachable, match="ask the publisher for a new one") as caught:
        client.run_once()
    assert caught.value.exit_code == 4


def test_a_feed_that_is_away_ends_a_single_run_with_four(client, feed):
    client.with_(feed={"url": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable):
        client.run_once()


@pytest.mark.parametrize("body", [b"", b'{"items":[', b"<html>", b"[]", b'{"items":[],"server_time":"x"}', b"\xff" * 9])
def test_a_page_that_is_none_counts_as_not_received(body):
    with pytest.raises(Retry):
        parse_page(body)


def test_a_line_whose_bytes_changed_is_not_traded_and_stops_entries_but_not_exits(client, feed, broker):
    held = feed.open()
    client.run_once()
    feed.open()
    feed.lines[-1][4] = feed.lines[-1][4].replace(b'"quantity":"1000"', b'"quantity":"9000"')
    good = feed.open()
    assert client.run_once() == 1
    assert len(broker.orders) == 1
    assert feed.bodies(good)[0]["reason"] == "history"
    feed.end(held)
    assert client.run_once() == 1
    assert broker.open == {}


def test_a_field_smuggled_in_behind_the_hash_is_found():
    line = b'{"seq":1,"prev":"' + b"0" * 64 + b'"'
    from hashlib import sha256

    sig = b"0" * 16 + b":" + b"A" * 86 + b"=="
    whole = line + b',"h":"' + sha256(line).hexdigest().encode() + b'"'
    assert hash_matches(whole + b"}")
    assert hash_matches(whole + b',"sig":"' + sig + b'"}')
    assert not hash_matches(whole + b',"sig":"c2ln"}')
    assert not hash_matches(whole + b',"quantity":"9000"}')
    assert not hash_matches(whole + b',"sig":"' + sig + b'","quantity":"9000"}')


def test_a_line_that_does_not_follow_the_one_before_it_is_found(client, feed, broker):
    feed.open()
    client.run_once()
    seq, _h = feed.heads["fx/signals"]
    feed.heads["fx/signals"] = (seq, "1" * 64)
    feed.open()
    assert client.run_once() == 1
    assert len(broker.orders) == 1
    assert "to be" in client.state.distrust or "follow" in client.state.distrust


def test_a_log_that_became_shorter_is_found_after_a_restart(client, feed, broker):
    feed.open()
    feed.open()
    client.run_once()
    feed.lines.clear()
    feed.heads.clear()
    feed.open()
    assert client.run_once() == 1
    assert "at least 2 lines" in client.state.distrust


def test_a_new_history_is_accepted_only_when_told_to(client, feed, broker):
    from tbot_client.book import Book

    test_a_log_that_became_shorter_is_found_after_a_restart(client, feed, broker)
    book = Book(client.home.journal, client.clock)
    book.write({"kind": "trusted"})
    book.close()
    signal = feed.open()
    client.run_once()
    assert feed.bodies(signal)[0]["decision"] == "accept"


def test_a_report_the_feed_could_not_take_is_repeated_as_the_same_bytes(client, feed, broker):
    signal = feed.open()
    feed.answer_once("/ack", 503, headers={"Retry-After": "0"})
    feed.answer_once("/executed", 503, headers={"Retry-After": "0"})
    assert client.run_once() == 0
    assert feed.stages(signal) == ["ack", "executed"]
    bodies = re.findall(rb'\{"at"[^}]*"decision"[^}]*\}', bytes(feed.wire))
    assert len(bodies) == 2
    assert len(set(bodies)) == 1


def test_a_contradicted_report_is_kept_as_disputed_and_the_next_one_is_sent(client, feed, broker):
    signal = feed.open()
    feed.answer_once("/ack", 409, b'{"code":"conflict","existing_sha256":"x"}')
    assert client.run_once() == 3
    assert feed.stages(signal) == ["executed"]
    assert client.state.disputed[0]["status"] == 409


def test_a_report_about_something_unknown_is_dropped_with_a_note(client, feed, broker):
    feed.open()
    feed.answer_once("/ack", 404, b'{"code":"unknown"}')
    client.run_once()
    assert client.state.counts["dropped"] == 1
    assert client.state.outbox == {}


def test_an_id_that_is_no_id_never_reaches_an_address(client, feed, broker):
    feed.open(id="sig_../../../../admin", signal_id="sig_../../../../admin")
    good = feed.open()
    client.run_once()
    assert client.state.counts["malformed"] == 1
    assert b"admin" not in feed.wire
    assert feed.stages(good) == ["ack", "executed"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "0", "1e999999"])
def test_a_price_that_is_no_price_is_left_out(client, feed, broker, value):
    feed.open(reference_price=value)
    client.run_once()
    assert broker.orders == []


def test_pages_follow_each_other_until_there_is_no_more(client, feed, broker):
    client.run_once()
    signals = [feed.open() for _ in range(5)]
    client.with_(poll={"limit": 2}, size={"max_open": 9}).run_once()
    assert all(feed.stages(signal) == ["ack", "executed"] for signal in signals)


@pytest.mark.parametrize("text", ["EUR\x1b[2JUSD", "x" * 300])
def test_a_text_that_could_play_with_a_terminal_is_left_out(client, feed, broker, text):
    feed.open(market=text)
    client.run_once()
    assert (broker.orders, client.state.counts["malformed"]) == ([], 1)


def test_polls_without_news_leave_the_journal_as_it_is(client, feed):
    feed.open()
    client.run_once()
    client.run_once()
    size = client.home.journal.stat().st_size
    for _ in range(5):
        client.run_once()
    assert client.home.journal.stat().st_size == size


def test_an_answer_that_waited_here_while_the_snapshot_was_asked_is_no_news_and_a_kept_one_is_said(
    client, feed, broker, capsys
):
    loop = Loop(client.config, client.home, client.clock, Book(client.home.journal, client.clock), broker, is_dry=False)
    loop._synchronise()
    first = feed.open()
    waiting = loop._feed.page(loop._book.state.cursor, 0)
    second = feed.open()
    loop._intake.is_missing_something = lambda: True
    loop._look_into_holes()
    said = []
    for page in (waiting, msgspec.structs.replace(waiting, asked_s=ticks())):
        loop._poller.next = lambda _, page=page: page
        loop._take_page()
        said.append(capsys.readouterr().err.count("keeps old answers"))
    signals = set(loop._book.state.trades)
    loop._shutdown()
    loop._book.close()

    assert said == [0, 1]
    assert signals == {first, second}
