"""The keys that sign, how they are made and replaced, and which signatures count."""

import json
import os
import shutil
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.clock import FakeClock, iso
from domain.errors import Misconfigured, Refuse
from journal import Journal, LogLocked
from journal.key_files import create_key, logs_at_rest, rotate_key
from journal.keys import BadSignature, Keyring, Signer, endorsement_text
from journal.public_keys import PublicKey, read_public_keys

NOW = datetime(2014, 5, 2, 12, 31, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
H = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def sign(signer: Signer, h: str = H) -> str:
    return signer.sign_line(h).decode()


def test_a_key_is_made_private_and_its_public_half_is_written_as_documented(folder: Path) -> None:
    create_key(folder, "fx", NOW)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "fx.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "fx.key").read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    [entry] = json.loads((folder / "public.json").read_bytes())["keys"]
    raw = b64decode(entry["public"])
    assert entry == {
        "key": sha256(raw).hexdigest()[:16], "surface": "fx", "public": b64encode(raw).decode(),
        "from": "2014-05-02T12:31:00.000000Z", "until": None, "by": None, "endorsement": None,
    }  # fmt: skip


def test_a_line_signature_is_ed25519_over_the_documented_text(folder: Path) -> None:
    entry = create_key(folder, "fx", NOW)
    key, _, signature = sign(Signer.load(folder, "fx", NOW)).partition(":")

    public = Ed25519PublicKey.from_public_bytes(b64decode(entry.public))
    public.verify(b64decode(signature), b"tbot-line:1:" + H.encode())
    assert (key, len(signature)) == (entry.key, 88)


def test_each_surface_has_a_key_of_its_own(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    create_key(folder, "st", NOW)
    fx = Signer.load(folder, "fx", NOW)

    Keyring.load(folder).verify_line(H, sign(fx), iso(NOW), "fx")
    with pytest.raises(BadSignature, match="the key of fx, not of st"):
        Keyring.load(folder).verify_line(H, sign(fx), iso(NOW), "st")


def test_a_second_key_is_not_made_by_accident(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    before = (folder / "fx.key").read_bytes()

    with pytest.raises(Refuse, match="tbot keys rotate fx"):
        create_key(folder, "fx", NOW)
    assert (folder / "fx.key").read_bytes() == before


def test_a_missing_key_names_the_command_that_makes_it(folder: Path) -> None:
    with pytest.raises(Misconfigured, match="tbot keys create fx"):
        Signer.load(folder, "fx", NOW)


@pytest.mark.parametrize(("name", "mode"), [("fx.key", 0o640), ("fx.key", 0o604), (".", 0o750)])
def test_a_key_that_others_could_read_is_refused(folder: Path, name: str, mode: int) -> None:
    create_key(folder, "fx", NOW)
    (folder / name).chmod(mode)

    with pytest.raises(Misconfigured, match=f"mode {mode:o}; run chmod .* --leaked"):
        Signer.load(folder, "fx", NOW)


def test_a_link_and_a_key_that_is_none_are_refused_without_showing_it(folder: Path, tmp_path: Path) -> None:
    create_key(folder, "fx", NOW)
    path = folder / "fx.key"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Misconfigured, match="plain file"):
        Signer.load(folder, "fx", NOW)
    path.unlink()
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nsesame\n")
    path.chmod(0o600)

    with pytest.raises(Misconfigured) as caught:
        Signer.load(folder, "fx", NOW)
    assert "sesame" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_somebody_else_is_refused(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    os.chown(folder / "fx.key", 65534, -1)

    with pytest.raises(Misconfigured, match="found uid 65534"):
        Signer.load(folder, "fx", NOW)


def test_a_key_that_the_public_file_does_not_name_signs_nothing(folder: Path, tmp_path: Path) -> None:
    create_key(folder, "fx", NOW)
    create_key(tmp_path / "other", "fx", NOW)
    shutil.copy(tmp_path / "other" / "fx.key", folder)

    with pytest.raises(Misconfigured, match=r"public.json to name key"):
        Signer.load(folder, "fx", NOW)


def test_a_clock_before_the_key_existed_is_refused(folder: Path) -> None:
    create_key(folder, "fx", LATER)

    with pytest.raises(Misconfigured, match="correct the clock"):
        Signer.load(folder, "fx", NOW)


def test_rotation_bounds_the_old_key_and_lets_it_vouch_for_the_new_one(folder: Path) -> None:
    old = create_key(folder, "fx", NOW)
    old_signer = Signer.load(folder, "fx", NOW)
    new = rotate_key(folder, "fx", LATER)
    new_signer, ring = Signer.load(folder, "fx", LATER), Keyring.load(folder)

    first, second = read_public_keys(folder)
    assert (first.key, first.until, second.key, second.from_) == (old.key, iso(LATER), new.key, iso(LATER))
    text = f"tbot-key:1:{new.key}:fx:{new.public}:{new.from_}".encode()
    Ed25519PublicKey.from_public_bytes(b64decode(old.public)).verify(b64decode(new.endorsement or ""), text)
    ring.verify_line(H, sign(old_signer), iso(NOW), "fx")
    ring.verify_line(H, sign(new_signer), iso(LATER), "fx")


@pytest.mark.proves("row 11")
def test_a_newer_key_cannot_seal_an_older_past_nor_an_old_one_go_on(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    old = Signer.load(folder, "fx", NOW)
    rotate_key(folder, "fx", LATER)
    new, ring = Signer.load(folder, "fx", LATER), Keyring.load(folder)

    with pytest.raises(BadSignature, match="valid only from"):
        ring.verify_line(H, sign(new), iso(NOW), "fx")
    with pytest.raises(BadSignature, match="valid only until"):
        ring.verify_line(H, sign(old), iso(LATER + timedelta(microseconds=1)), "fx")


def test_a_leaked_key_vouches_for_nothing(folder: Path) -> None:
    old = create_key(folder, "fx", NOW)
    (folder / "fx.key").unlink()  # not even needed
    new = rotate_key(folder, "fx", LATER, leaked=True)
    signer = Signer.load(folder, "fx", LATER)

    assert (new.by, new.endorsement) == (None, None)
    with pytest.raises(BadSignature, match="neither pinned nor endorsed"):
        Keyring.load(folder, {old.key}).verify_line(H, sign(signer), iso(LATER), "fx")
    Keyring.load(folder, {new.key}).verify_line(H, sign(signer), iso(LATER), "fx")


def test_a_pin_reaches_over_several_rotations(folder: Path) -> None:
    first = create_key(folder, "fx", NOW)
    for month in range(1, 4):
        rotate_key(folder, "fx", NOW + timedelta(days=30 * month))
    last = Signer.load(folder, "fx", NOW + timedelta(days=90))
    entries = read_public_keys(folder)

    Keyring(entries[::-1], {first.key}).verify_line(H, sign(last), iso(NOW + timedelta(days=91)), "fx")
    assert len(Keyring(entries, {first.key}).keys("fx")) == 4
    with pytest.raises(BadSignature, match="does not count"):
        Keyring([entries[0], *entries[2:]], {first.key}).verify_line(H, sign(last), iso(LATER), "fx")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"endorsement": b64encode(b"x" * 64).decode()}, "does not hold"),
        ({"endorsement": None}, "does not hold"),
        ({"from_": iso(NOW)}, "does not hold"),
        ({"surface": "st"}, "of another surface"),
        ({"by": "0" * 16}, "does not count"),
        ({"public": b64encode(b"y" * 32).decode()}, "not the key of that id"),
        ({"public": "no base64"}, "not the key of that id"),
    ],
)
def test_a_changed_entry_does_not_count(folder: Path, change: dict[str, Any], why: str) -> None:
    create_key(folder, "fx", NOW)
    rotate_key(folder, "fx", LATER)
    signer = Signer.load(folder, "fx", LATER)
    old, new = read_public_keys(folder)

    with pytest.raises(BadSignature, match=why):
        Keyring([old, msgspec.structs.replace(new, **change)]).verify_line(H, sign(signer), iso(LATER), "fx")


def test_a_key_vouched_for_after_the_end_of_the_voucher_does_not_count(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    leaked = Signer.load(folder, "fx", NOW)
    rotate_key(folder, "fx", LATER, leaked=True)
    thief, since = Ed25519PrivateKey.generate(), iso(LATER + timedelta(days=1))
    raw = thief.public_key().public_bytes_raw()
    key, public = sha256(raw).hexdigest()[:16], b64encode(raw).decode()
    endorsement = leaked.endorse(key, public, since)
    forged = PublicKey(
        key=key, surface="fx", public=public, from_=since, until=None, by=leaked.key, endorsement=endorsement
    )

    counted = Keyring([*read_public_keys(folder), forged]).keys()

    assert key not in {entry.key for entry in counted}
    assert endorsement_text(key, "fx", public, since).isascii()


@pytest.mark.parametrize("sig", ["", "x", "0123456789abcdef:" + "A" * 86 + "==", "0" * 16 + ":" + "A" * 85 + "==="])
def test_a_signature_that_is_none_does_not_hold(folder: Path, sig: str) -> None:
    create_key(folder, "fx", NOW)

    with pytest.raises(BadSignature):
        Keyring.load(folder).verify_line(H, sig, iso(NOW), "fx")


def test_a_signature_over_another_line_does_not_hold(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    signer, ring = Signer.load(folder, "fx", NOW), Keyring.load(folder)

    with pytest.raises(BadSignature, match="does not match"):
        ring.verify_line("cd" * 32, sign(signer), iso(NOW), "fx")
    with pytest.raises(BadSignature, match="does not match"):
        ring.verify_checkpoint(H.encode(), sign(signer), iso(NOW), "fx")


@pytest.mark.parametrize("is_public", [False, True], ids=["before", "after"])
def test_a_rotation_that_died_around_its_public_entry_is_finished_by_the_next(
    folder: Path, tmp_path: Path, is_public: bool
) -> None:
    create_key(folder, "fx", NOW)
    done = tmp_path / "done"
    shutil.copytree(folder, done)
    rotate_key(done, "fx", LATER)
    shutil.copy(done / "fx.key", folder / "fx.key.new")
    if is_public:
        shutil.copy(done / "public.json", folder)
        with pytest.raises(Misconfigured, match="tbot keys rotate fx, which finishes"):
            Signer.load(folder, "fx", LATER)
    entry = rotate_key(folder, "fx", LATER)

    assert ((folder / "fx.key").read_bytes() == (done / "fx.key").read_bytes()) == is_public
    assert Signer.load(folder, "fx", LATER).key == entry.key
    assert len(read_public_keys(folder)) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["fx.key", "public.json"]


def test_a_half_written_new_key_is_dropped(folder: Path) -> None:
    create_key(folder, "fx", NOW)
    (folder / "fx.key.new").write_bytes(b"-----BEGIN PRI")
    entry = rotate_key(folder, "fx", LATER)

    assert Signer.load(folder, "fx", LATER).key == entry.key


def test_keys_are_not_replaced_under_a_running_writer(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        journal.append("n", surface="fx", mode="paper", fields={})
        with pytest.raises(LogLocked), logs_at_rest(directory.parent, clock):
            pass


def test_a_key_ends_after_the_last_record_it_may_have_signed(directory: Path, clock: FakeClock) -> None:
    with Journal.open(directory, clock=clock) as journal:
        last = journal.append("n", surface="fx", mode="paper", fields={}).ts
    clock.advance(-3600)

    with logs_at_rest(directory.parent, clock) as moment:
        assert moment == last
    Journal.open(directory, clock=clock).close()  # the lock was given up again


def test_a_public_file_that_is_none_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "public.json").write_text("{}")

    with pytest.raises(Misconfigured, match=r"public\.json"):
        Keyring.load(folder)
    assert not Keyring([])
