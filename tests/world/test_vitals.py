"""Recorded vitals as devices keep them: all but the last digit of water is in their bytes."""

from decimal import Decimal
from pathlib import Path

from deploy.world.vitals import kept, read_vitals, water_mass


def test_every_recorded_pressure_weight_and_muscle_mass_has_bytes(shared: Path) -> None:
    found = kept(read_vitals(shared / "data" / "tihm_vitals_shared.csv.gz"))

    assert (len(found.cuff), len(found.scale), len(found.body_scale)) == (698, 537 - 358, 358)
    told = {one.octets() for one in (*found.cuff, *found.scale, *found.body_scale)}
    assert len(told) == 698 + 537


def test_a_share_of_water_is_the_same_within_a_tenth_of_a_per_cent_after_the_mass(
    shared: Path,
) -> None:
    taken = read_vitals(shared / "data" / "tihm_vitals_shared.csv.gz")

    off = [
        abs(water_mass(share, weight) / weight * 100 - share)
        for one in taken
        if (share := one.values.get("body_water")) is not None
        and (weight := one.values["body_weight"])
    ]
    assert len(off) == 358
    assert max(off) < Decimal("0.01")
