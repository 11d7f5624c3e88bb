"""The past looked at again: what was seen is what is served, and a difference is named with both signatures."""

import json
from hashlib import sha256

import pytest

from tbot_client import heads, proof, verify
from tbot_client.book import Book
from tbot_client.errors import ClientError, HistoryChanged
from tbot_client.heads import Evidence, Seen
from tbot_client.keys import Keyring


def look(client):
    found = verify.Findings()
    ring, seen = verify.home_alone(client.home, client.config, found)
    verify.against_feed(client.config, ring, seen, found)
    return found


def reseal(feed, at):
    """Change a line and seal it and all that follow in its log anew, as whoever holds the key can."""
    lines, key = feed.lines, feed.key
    old = list(lines)
    lines.clear()
    feed.heads.clear()
    for number, (log, _, _, record, _) in enumerate(old):
        fields = {name: value for name, value in record.items() if name not in ("ts", "v", "log", "seq", "prev")}
        if number == at:
            fields["reason" if fields["action"] == "close" else "reference_price"] = "1.23456"
        feed.key = key
        feed.write(log, **fields)


@pytest.fixture
def followed(client, feed, broker):
    signals = [feed.open() for _ in range(3)]
    client.run_once()
    feed.amend(signals[1])
    feed.end(signals[0])
    client.run_once()
    return client


def test_a_past_that_was_left_alone_is_found_as_it_was(followed, feed):
    found = look(followed)

    assert (found.exit_code, found.faults, found.rewritten) == (0, [], [])
    assert found.served == 5
    assert found.compared >= 5
    assert verify.as_text(found).endswith("the past is as it was")


@pytest.mark.proves("J11", "F10", "row 11")
def test_each_line_sealed_anew_is_named_with_both_hashes_and_both_signatures(followed, feed):
    seen = {(log, seq): (h, raw) for log, seq, h, _, raw in feed.lines}
    places = [(line[0], line[1]) for line in feed.lines]
    for at, place in enumerate(places):
        reseal(feed, at)
        found = look(followed)
        row = next(row for row in found.rewritten if (row["log"], row["seq"]) == place)
        assert found.exit_code == 1
        assert row["seen"]["h"] == seen[place][0]
        assert row["served"]["h"] not in ("", row["seen"]["h"])
        assert row["seen"]["sig"].encode() in seen[place][1]
        assert row["served"]["sig"].startswith(feed.key.id)


@pytest.mark.proves("J11", "row 11")
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_tail_that_was_dropped_is_named(followed, feed, count):
    dropped = [(line[0], line[1]) for line in feed.lines[-count:]]
    del feed.lines[-count:]
    feed.heads = {}
    for log, seq, h, _, _ in feed.lines:
        feed.heads[log] = (seq, h)

    found = look(followed)

    named = {(row["log"], row["seq"]) for row in found.rewritten}
    assert {place for place in dropped if place[0] in feed.heads} <= named


@pytest.mark.proves("J11", "row 11")
def test_a_line_that_was_taken_out_is_named(followed, feed):
    log, seq = feed.lines[1][:2]
    del feed.lines[1]

    found = look(followed)

    assert (log, seq, "nothing at this place") in [(row["log"], row["seq"], row["now"]) for row in found.rewritten]


@pytest.mark.proves("J11", "row 11")
def test_one_flipped_byte_of_any_line_is_named(followed, feed):
    for line in feed.lines:
        good = line[4]
        line[4] = good.replace(b"EUR_USD", b"EUR_USE")
        found = look(followed)
        line[4] = good
        assert any(f"{line[0]} line {line[1]}:" in fault for fault in found.faults)


def test_a_damaged_journal_of_our_own_is_named(followed):
    text = followed.home.journal.read_bytes()
    at = text.index(b'"units":"1000"')
    followed.home.journal.write_bytes(text[: at + 9] + b"9" + text[at + 10 :])

    found = verify.Findings()
    verify.home_alone(followed.home, followed.config, found)

    assert found.exit_code == 1
    assert "damaged" in found.faults[0]
    with pytest.raises(ClientError, match="damaged"):
        Book(followed.home.journal, followed.clock)


def test_evidence_is_bounded_and_keeps_the_newest(tmp_path):
    path = tmp_path / "heads.jsonl"
    evidence = Evidence(path, most_bytes=20_000)
    for seq in range(1, 1001):
        evidence.lines([Seen(log="fx/signals", seq=seq, h="0" * 64, is_line=True)])

    kept = [seen.seq for seen in heads.read(path)]

    assert path.stat().st_size <= 20_000
    assert kept == sorted(kept)
    assert kept[-1] == 1000
    assert kept[0] < 100


def test_heads_are_kept_once_a_minute_and_the_newest_at_the_end(tmp_path):
    path = tmp_path / "heads.jsonl"
    evidence = Evidence(path)
    for seq in range(1, 50):
        evidence.head(Seen(log="fx/signals", seq=seq, h="0" * 64))
    evidence.save()

    assert [seen.seq for seen in heads.read(path)] == [1, 49]


def test_evidence_cut_short_by_a_crash_costs_one_entry(tmp_path):
    path = tmp_path / "heads.jsonl"
    Evidence(path).lines([Seen(log="fx/signals", seq=1, h="0" * 64, is_line=True)])
    path.write_bytes(path.read_bytes() + b'{"log":"fx/sig')
    Evidence(path).lines([Seen(log="fx/signals", seq=2, h="1" * 64, is_line=True)])

    assert [seen.seq for seen in heads.read(path)] == [1, 2]


def tree(leaves):
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def beside(leaves, at):
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if at < half:
        return [*beside(leaves[:half], at), tree(leaves[half:])]
    return [*beside(leaves[half:], at - half), tree(leaves[:half])]


def proof_of(feed, seq, size):
    """Prove a line the way RFC 6962 2.1 writes it down, with a tree built by recursion."""
    lines = [line for line in feed.lines if line[0] == "fx/signals"][:size]
    leaves = [bytes.fromhex(line[2]) for line in lines]
    unsigned = json.dumps(
        {"ts": "2026-03-02T09:00:00.000000Z", "v": 1, "log": "fx/signals", "seq": size, "root": tree(leaves).hex()}
    )[:-1]
    sig = feed.key.sign_text(b"tbot-checkpoint:1:" + unsigned.encode())
    return {
        "v": 1,
        "log": "fx/signals",
        "seq": seq,
        "line": lines[seq - 1][4].decode(),
        "checkpoint": f'{unsigned},"sig":"{sig}"}}',
        "path": [step.hex() for step in beside(leaves, seq - 1)],
    }


@pytest.fixture
def long(client, feed, broker):
    for _ in range(13):
        feed.open()
    client.run_once()
    return client


def proven(client, shown):
    found = verify.Findings()
    return verify.by_proof(json.dumps(shown).encode(), client.home, client.config, found), found


@pytest.mark.proves("J11")
def test_a_proof_of_every_line_in_a_tree_of_every_size_holds(long, feed):
    for size in range(1, 14):
        for seq in range(1, size + 1):
            shown, found = proven(long, proof_of(feed, seq, size))
            assert (shown.seq, shown.size, found.exit_code) == (seq, size, 0)
            assert found.compared >= 1


@pytest.mark.proves("J11")
def test_a_proof_in_which_anything_was_changed_does_not_hold(long, feed):
    good = proof_of(feed, 5, 13)
    other = proof_of(feed, 6, 13)
    wrong = [
        good | {"line": other["line"]},
        good | {"line": good["line"].replace("EUR_USD", "EUR_USE")},
        good | {"seq": 6},
        good | {"path": good["path"][:-1]},
        good | {"path": [*good["path"], "0" * 64]},
        good | {"path": list(reversed(good["path"]))},
        good | {"checkpoint": good["checkpoint"].replace('"seq": 13', '"seq": 12')},
        good | {"checkpoint": good["checkpoint"][: good["checkpoint"].index(',"sig"')] + "}"},
    ]
    for each in wrong:
        with pytest.raises(HistoryChanged):
            proven(long, each)


def test_a_proof_of_another_line_than_the_one_seen_is_a_rewrite(long, feed):
    reseal(feed, 4)

    _, found = proven(long, proof_of(feed, 5, 13))

    assert found.exit_code == 1
    assert found.rewritten[0]["now"] == "another line, proven"


def test_a_ring_without_keys_believes_nothing(long, feed):
    whole = proof.parse(json.dumps(proof_of(feed, 1, 1)).encode())

    with pytest.raises(HistoryChanged, match="does not serve"):
        proof.check(whole, Keyring())
