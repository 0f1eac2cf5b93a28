"""Energy from a Raspberry Pi 5's PMIC, from RAPL and from a battery, on recorded machines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_bench.meters import Sampler, all_meters, joules
from edgefuse_bench.meters.battery import BatteryPower
from edgefuse_bench.meters.pmic import PmicPower
from edgefuse_bench.meters.rapl import RaplEnergy
from edgefuse_runtimes.sensors import NotMeasurable

Recorded = Callable[[str], Path]

RAIL_WATTS = [
    0.00195186 * 3.7072, 0.125895 * 3.302609, 0.2312954 * 1.812941, 0.0, 0.0, 0.1883545 * 1.106226,
    0.306442 * 0.8014644, 0.82156 * 0.8120382, 0.0, 0.0, 0.00311355 * 0.7991202, 0.0003663 * 5.12416,
]  # fmt: skip
"""Current by voltage of each rail of the recorded Raspberry Pi 5, copied by hand."""


def test_the_rails_of_a_raspberry_pi_5_add_up(recorded: Recorded) -> None:
    meter = PmicPower(recorded("pi5"))
    assert meter.read() == pytest.approx(sum(RAIL_WATTS), rel=1e-9)
    rails = meter.info()["rails"]
    assert len(rails) == len(RAIL_WATTS)
    assert "EXT5V" not in rails  # its current is not told, and it feeds the others


def test_a_rail_without_its_partner_counts_for_nothing(recorded: Recorded) -> None:
    root = recorded("pi5")
    (root / "vcgencmd/pmic_read_adc").write_text(
        "A_A current(0)=1.5A\nB_A current(1)=2A\n B_V volt(2)=3.0V\nC_V volt(3)=5V\n"
    )
    assert PmicPower(root).read() == 6
    (root / "vcgencmd/pmic_read_adc").write_text("EXT5V_V volt(24)=5.13756000V\n")
    with pytest.raises(NotMeasurable, match="which is no power"):
        PmicPower(root)


MILLI = st.integers(0, 9_999)


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.from_regex(r"[A-Z0-9]{1,4}(_[A-Z0-9]{2,4})?", fullmatch=True), st.tuples(MILLI, MILLI), min_size=1
    )
)
def test_rails_of_any_name_and_order_add_up(rails: dict[str, tuple[int, int]]) -> None:
    currents = [
        f" {rail}_A current({index})={amperes / 1e3:.8f}A" for index, (rail, (amperes, _)) in enumerate(rails.items())
    ]
    voltages = [
        f"{rail}_V volt({index})={volts / 1e3:.8f}V" for index, (rail, (_, volts)) in enumerate(sorted(rails.items()))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgefuse_bench.meters.pmic.vcgencmd", lambda *_, **__: "\n".join([*currents, *voltages]))
        watts = PmicPower().read()
    assert watts == pytest.approx(sum(amperes * volts for amperes, volts in rails.values()) / 1e6)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_any_other_answer_is_no_power_and_no_error(answer: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgefuse_bench.meters.pmic.vcgencmd", lambda *_, **__: answer)
        with pytest.raises(NotMeasurable, match="which is no power"):
            PmicPower()


@settings(max_examples=50)
@given(st.integers(1, 10**12), st.lists(st.integers(0, 10**12), min_size=1, max_size=20))
def test_a_counter_of_any_range_counts_on(highest: int, steps: list[int]) -> None:
    """Each step is smaller than the range; the counter holds their sum modulo it."""
    steps = [step % highest for step in steps]
    with TemporaryDirectory() as folder:
        zone = Path(folder) / "sys/class/powercap/intel-rapl:0"
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text(f"{highest}\n")
        (zone / "energy_uj").write_text("0\n")
        meter = RaplEnergy(Path(folder))
        for index in range(len(steps)):
            (zone / "energy_uj").write_text(f"{sum(steps[: index + 1]) % highest}\n")
            read = meter.read()
    assert read == pytest.approx(sum(steps) / 1e6)


def test_a_raspberry_pi_4_has_no_energy(recorded: Recorded) -> None:
    (energy,) = (meter for meter in all_meters(recorded("pi4")) if meter.name == "energy")
    said = energy.info()["not_measurable"]
    assert "Command not registered" in said
    assert "RAPL" in said
    assert "no battery" in said


def counter(root: Path) -> Path:
    return root / "sys/class/powercap/intel-rapl:0/energy_uj"


def test_rapl_counts_on_when_its_counter_begins_anew(recorded: Recorded) -> None:
    root = recorded("laptop")
    meter = RaplEnergy(root)
    readings = []
    for microjoules in (262_143_000_000, 262_143_300_000, 171_150, 20_171_150):
        counter(root).write_text(f"{microjoules}\n")
        readings.append(meter.read())
    assert readings == pytest.approx([0, 0.3, 0.5, 20.5])  # its range is 262143.328850 J


def test_rapl_adds_packages_and_leaves_their_parts_out(recorded: Recorded) -> None:
    root = recorded("laptop")
    second = root / "sys/class/powercap/intel-rapl:1"
    shutil.copytree(counter(root).parent, second)
    (second / "name").write_text("package-1\n")
    meter = RaplEnergy(root)
    assert meter.info()["source"].count("energy_uj") == 2
    for file, microjoules in ((counter(root), 1_000_000), (second / "energy_uj", 262_144_000_000)):
        file.write_text(f"{microjoules}\n")
    assert meter.read() == pytest.approx(1.32885 + 1)


def test_rapl_without_the_right_to_read_says_since_when(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    root, known = recorded("laptop"), Path.read_text

    def forbidden(path: Path, *arguments: Any, **settings: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return known(path, *arguments, **settings)

    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(NotMeasurable, match=r"readable by root only, since Linux 5\.10"):
        RaplEnergy(root)
    shutil.rmtree(root / "sys/class/power_supply")
    (energy,) = (meter for meter in all_meters(root) if meter.name == "energy")
    assert "run as root" in energy.info()["not_measurable"]


def test_a_battery_tells_its_power_while_it_discharges(recorded: Recorded) -> None:
    root = recorded("laptop")
    battery = root / "sys/class/power_supply/BAT0"
    meter = BatteryPower(root)
    assert meter.read() == 19.195
    (battery / "power_now").unlink()
    (battery / "current_now").write_text("-1713000\n")  # some drivers count what flows out as negative
    assert meter.read() == pytest.approx(1.713 * 11.206)
    (battery / "current_now").unlink()
    assert meter.read() is None
    (battery / "status").write_text("Charging\n")
    with pytest.raises(NotMeasurable, match="unplug the charger"):
        BatteryPower(root)


def test_a_mouse_is_no_battery_of_the_machine(recorded: Recorded) -> None:
    root = recorded("laptop")
    (root / "sys/class/power_supply/BAT0/scope").write_text("Device\n")
    with pytest.raises(NotMeasurable, match="shows no battery"):
        BatteryPower(root)


def test_a_laptop_has_both_meters_of_energy(recorded: Recorded) -> None:
    names = [meter.name for meter in all_meters(recorded("laptop"))]
    assert names == ["temperature", "clock", "throttle count", "RAPL energy", "battery power"]


def test_watts_are_integrated_as_numpy_does() -> None:
    rng = np.random.default_rng(0)
    seconds, watts = np.sort(rng.uniform(0, 60, 50)), rng.uniform(1, 12, 50)
    readings = [{"t_ns": round(t * 1e9), "value": value} for t, value in zip(seconds, watts.tolist(), strict=True)]
    assert joules("W", readings) == pytest.approx(np.trapezoid(watts, seconds), rel=1e-6)


def test_joules_of_a_counter_and_of_too_little() -> None:
    readings = [{"t_ns": 0, "value": 2.5}, {"t_ns": 1, "value": 3.0}, {"t_ns": 2, "value": 10.0}]
    assert joules("J", readings) == 7.5
    assert joules("°C", readings) is None
    assert joules("W", readings[:1]) is None


def test_a_sampled_battery_tells_its_joules(recorded: Recorded) -> None:
    with Sampler(all_meters(recorded("laptop")), 60) as sampler:
        pass
    results = {result["name"]: result for result in sampler.results()}
    battery = results["battery power"]
    first, last = (reading["t_ns"] for reading in battery["readings"])
    assert battery["joules"] == pytest.approx(19.195 * (last - first) / 1e9)
    assert results["RAPL energy"]["joules"] == 0
    assert "joules" not in results["temperature"]
