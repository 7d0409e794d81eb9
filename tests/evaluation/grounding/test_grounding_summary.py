"""Cuts from other images, and means with intervals: tables done by hand."""

import math

import numpy as np
import pytest

from offclip.evaluation.grounding.checks import choose_pairs
from offclip.evaluation.grounding.cuts import FROM_FOLDS, FROM_VALIDATION, NOWHERE, choose_cuts
from offclip.evaluation.grounding.measure import Measured
from offclip.evaluation.grounding.summary import summarise_method
from offclip.evaluation.statistics.bootstrap import Resampling, cluster_weights
from offclip.grounding.localisation import CUTS, Contrast, Overlap
from offclip.grounding.pointing import Pointing

NOTHING = Overlap(math.nan, math.nan)
FEW = Resampling(200, seed=4)


def row(image_id, finding, *, patient=None, hit=0.0, best=0, iou=0.5, cnr=1.0, energy=0.5):
    """A map whose IoU is `iou` at one cut and half of it at all others."""
    overlaps = tuple(
        NOTHING if math.isnan(iou) else Overlap(iou if n == best else iou / 2, 0.25) for n in range(len(CUTS))
    )
    return Measured(
        image_id, patient or image_id, finding, "similarity", "box", Pointing(hit, 0.1),
        Contrast(cnr, energy, 0.2), overlaps,
    )  # fmt: skip


def test_the_cut_is_that_of_the_validation_images():
    reported = [row("a", "mass", best=2), row("b", "mass", best=2)]
    chosen = choose_cuts(reported, [row("v", "mass", best=7), row("w", "mass", iou=math.nan)])
    assert chosen.index.tolist() == [7, 7]
    assert chosen.source == FROM_VALIDATION
    assert chosen.name == f"{CUTS[7].kind} {CUTS[7].at:g}"


def test_without_validation_images_no_patient_chooses_its_own_cut():
    """Every patient has another best cut: chosen by the others, its own is never taken."""
    rows = [row(f"i{n}-{k}", "mass", patient=f"p{n}", best=n) for n in range(5) for k in range(2)]
    chosen = choose_cuts(rows, [])
    assert chosen.source == FROM_FOLDS
    assert all(
        index != m.overlaps.index(max(m.overlaps, key=lambda o: o.iou))
        for index, m in zip(chosen.index, rows, strict=True)
    )
    shuffled = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))]
    by_image = dict(
        zip([m.image_id for m in shuffled], choose_cuts(shuffled, []).index.tolist(), strict=True)
    )
    assert by_image == dict(zip([m.image_id for m in rows], chosen.index.tolist(), strict=True))


def test_one_patient_has_nothing_to_choose_on():
    rows = [row("a", "mass", patient="p"), row("b", "mass", patient="p")]
    chosen = choose_cuts(rows, [])
    assert (chosen.index.tolist(), chosen.source) == ([-1, -1], NOWHERE)
    found = summarise_method(rows, chosen, FEW)
    assert found.overall.miou is None
    assert found.overall.iou_at == {"0.1": None, "0.3": None, "0.5": None}
    assert found.overall.hit.value == 0


def test_the_mean_counts_every_finding_alike_and_the_interval_every_patient():
    rows = [
        row("a", "mass", patient="p1", hit=1, iou=0.6, cnr=2, energy=0.9),
        row("b", "mass", patient="p1", hit=0, iou=0.2, cnr=-1, energy=0.3),
        row("c", "mass", patient="p2", hit=0.5, iou=0.4, cnr=0, energy=0.3),
        row("c", "nodule", patient="p2", hit=1, iou=0.1, cnr=1, energy=0.1),
        row("d", "nodule", patient="p3", hit=0, iou=math.nan, cnr=math.nan, energy=math.nan),
    ]
    found = summarise_method(rows, choose_cuts(rows, [row("v", "mass")]), FEW)
    mass, nodule, overall = found.per_class["mass"], found.per_class["nodule"], found.overall
    assert (mass.hit.value, nodule.hit.value, overall.hit.value) == pytest.approx((0.5, 0.5, 0.5))
    assert mass.miou is not None
    assert overall.miou is not None
    assert mass.miou.value == pytest.approx(0.4)
    assert overall.miou.value == pytest.approx((0.4 + 0.1) / 2)  # the nodule that was not seen does not count
    assert mass.iou_at["0.3"].value == pytest.approx(2 / 3)
    assert mass.iou_at["0.5"].value == pytest.approx(1 / 3)
    assert mass.cnr.value == pytest.approx(1 / 3)
    assert mass.cnr_absolute.value == pytest.approx(1)
    assert overall.energy.value == pytest.approx((0.5 + 0.1) / 2)
    assert (mass.maps, mass.patients, overall.maps, overall.patients) == (3, 2, 5, 3)
    # By hand, on the same resamples.
    weights = cluster_weights([m.patient_id for m in rows], None, FEW).astype(float)
    drawn = (weights[:3] * np.array([[1], [0], [0.5]])).sum(axis=0) / np.maximum(weights[:3].sum(axis=0), 1)
    drawn = drawn[weights[:3].sum(axis=0) > 0]
    assert (mass.hit.low, mass.hit.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    block = found.block()
    assert block["per_class"]["nodule"]["miou"]["value"] == pytest.approx(0.1)
    assert block["threshold"]["from"] == "validation"


def test_a_class_without_a_value_is_none_and_spoils_no_mean():
    rows = [row("a", "mass", iou=0.5), row("b", "edema", iou=math.nan, cnr=math.nan, energy=math.nan)]
    found = summarise_method(rows, choose_cuts(rows, [row("v", "mass")]), FEW)
    assert found.per_class["edema"].miou is None
    assert found.per_class["edema"].cnr is None
    assert found.overall.miou.value == 0.5
    assert found.block()["per_class"]["edema"]["energy"] is None


def test_pairs_are_taken_from_every_finding_in_turn():
    rows = [row(i, f) for i, f in (("b", "mass"), ("a", "mass"), ("c", "mass"), ("z", "edema"))]
    assert choose_pairs(rows, 3) == [("z", "edema"), ("a", "mass"), ("b", "mass")]
    assert len(choose_pairs(rows, 9)) == 4
