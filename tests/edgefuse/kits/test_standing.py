"""A kit that is used where it lies: what is said of it, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits import signature
from edgefuse.kits.active import active_kit, find_kit
from edgefuse.kits.installing import install
from edgefuse.kits.standing import standing
from edgefuse.trust.pinned import pin, pinned_keys
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.verdicts import records

Bring = Callable[..., Path]


@pytest.fixture
def trusting(bring: Bring, fingerprint: str) -> None:
    """The device trusts the key of seed 1."""
    install(bring("0", name="first"), fingerprint=fingerprint)


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_a_workshop_that_trusts_no_key_is_told_nothing(bring: Bring, seed: int | None) -> None:
    assert standing(bring(seed=seed)) is None


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("seed", "why"),
    [(1, None), (2, "a key that this device does not trust"), (None, "is not signed, and this device trusts keys")],
)
def test_a_device_that_trusts_a_key_is_told_of_others(bring: Bring, seed: int | None, why: str | None) -> None:
    note = standing(bring(seed=seed))
    assert (note is None) if why is None else (why in str(note))


@pytest.mark.parametrize("trusts", [False, True])
def test_a_signature_over_something_else_is_refused_everywhere(bring: Bring, trusts: bool) -> None:
    kit, other = bring("1"), bring("2")
    if trusts:
        pin(signature.signer_over((kit / "kit.json").read_bytes(), (kit / "kit.json.sig").read_bytes(), kit))
    (kit / "kit.json.sig").write_bytes((other / "kit.json.sig").read_bytes())
    with pytest.raises(BadInput, match="is not over this kit"):
        standing(kit)
    (kit / "kit.json.sig").write_bytes(b"")
    with pytest.raises(BadInput, match="cannot be read"):
        standing(kit)


@pytest.fixture
def swapped(bring: Bring) -> Path:
    """A kit with the signature of another one."""
    kit = bring("1")
    (kit / "kit.json.sig").write_bytes((bring("2") / "kit.json.sig").read_bytes())
    return kit


@pytest.mark.parametrize(
    "words",
    ["classify --note new --kit", "kits use", "kits show", "kits install", "verify", "plan --kit", "tune",
     "bench run"],
)  # fmt: skip
def test_no_verb_takes_a_kit_with_a_signature_over_something_else(
    cli: Callable[..., Any], swapped: Path, words: str
) -> None:
    assert f"The signature of the kit {swapped} is not over this kit" in cli(*words.split(), swapped).refusal
    assert active_kit() is None


def test_doctor_tells_of_a_signature_over_something_else_and_runs_nothing(
    cli: Callable[..., Any], swapped: Path
) -> None:
    done = cli("doctor", "--probe", "--kit", swapped)
    assert (done.code, "is not over this kit" in " ".join(done.out.split())) == (1, True)
    assert records() == []


@pytest.mark.usefixtures("trusting")
def test_what_was_installed_says_so_itself(bring: Bring) -> None:
    install(bring(seed=None), allow_unsigned=True)
    assert standing(find_kit(Path("tiny"))) is None


@pytest.mark.usefixtures("trusting")
def test_a_record_beside_a_kit_of_a_stick_stands_for_nothing(bring: Bring) -> None:
    kit, installed = bring(seed=None), find_kit(Path("first"))
    kit.with_name(f"{kit.name}.installed.json").write_bytes(
        installed.with_name(f"{installed.name}.installed.json").read_bytes()
    )
    assert "is not signed" in str(standing(kit))


@pytest.mark.usefixtures("trusting")
def test_without_the_library_a_signature_is_not_called_good(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefuse.kits.standing.can_check", lambda: False)
    assert "cannot be checked here" in str(standing(bring()))


def test_kits_and_keys_of_an_installation_for_everyone_count_for_all_its_users(
    bring: Bring, fingerprint: str, everyones_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as administrator:
        administrator.setenv("EDGEFUSE_HOME", str(everyones_root))
        install(bring("0", name="first"), fingerprint=fingerprint)
        install(bring(seed=None, name="trial"), allow_unsigned=True)
    assert pinned_keys() == []
    monkeypatch.setattr(sys, "prefix", str(everyones_root / "current"))
    assert [key.fingerprint for key in pinned_keys()] == [fingerprint]
    assert standing(find_kit(everyones_root / "kits" / "trial")) is None  # every answer tells
    assert find_kit(Path("trial")) == everyones_root / "kits" / "trial" / "1"
    assert find_kit(Path("another")) == Path("another")
    assert "does not trust" in str(standing(bring(seed=2)))
    with pytest.raises(BadInput, match="signed by a key that this device does not know"):
        install(bring(seed=2), confirm=lambda key: pytest.fail("a key is known"))


def test_a_user_without_a_home_trusts_nobody_and_uses_what_he_names(
    bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    kit = bring(seed=None)
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert standing(kit) is None
