"""Corrections: new versions where something changed, and deltas that sum to a settlement from scratch."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from api_spec.dispute import Dispute
from market.ledger.lines import Inputs
from market.ledger.settlement import Settlement, correct, settle
from market.ledger.transfers import balances, pending_transfers, posting_transfers, voiding_transfers
from tests.unit.market.ledger.ledgers import HOUR, LOT, NOW, START, accepted, auction, award

LATER = NOW + timedelta(days=2)
SOLD = Inputs((award(-4000, -4000),), {LOT: (10_000, 10_000)}, {LOT: (6000, 7000)})


def test_a_late_reading_makes_the_next_version_and_its_line_says_so() -> None:
    """7 kWh at 100, less 1 kWh at 110, is 0.59; all 8 kWh delivered is 0.80: a delta of 0.21 EUR."""
    terms = auction(2)
    first = settle(terms, SOLD, at=NOW)
    second = correct(terms, replace(SOLD, readings={LOT: (6000, 6000)}, late={LOT: frozenset({1})}), first, at=LATER)

    (before,), (after,) = first.statements, second.statements
    assert (before.version, after.version) == (1, 2)
    assert (before.net_eur, after.net_eur) == (Decimal("0.59"), Decimal("0.80"))
    assert [each.basis for each in after.lines] == ["metered", "late"]
    (delta,) = posting_transfers(terms, first, second, at=LATER)
    assert (delta.memo, delta.debit, delta.credit) == ("correction", "dso:dso-1", "participant:agg-1")
    assert delta.amount_eur == Decimal("0.21")


def test_a_correction_downwards_is_a_payment_back() -> None:
    terms = auction(2)
    first = settle(terms, SOLD, at=NOW)
    second = correct(terms, replace(SOLD, readings={LOT: (7000, 7000)}), first, at=LATER)

    (delta,) = posting_transfers(terms, first, second, at=LATER)
    assert (delta.debit, delta.credit, delta.amount_eur) == ("participant:agg-1", "dso:dso-1", Decimal("0.21"))


def test_statements_whose_lines_stay_the_same_stay_as_they_are() -> None:
    terms = auction(2)
    other = ("agg-2", "lot")
    both = Inputs(
        (*SOLD.awards, award(-1000, 0, who="agg-2")),
        {**SOLD.baselines, other: (1000, 1000)},
        {**SOLD.readings, other: (0, None)},
    )
    first = settle(terms, both, at=NOW)
    second = correct(terms, replace(both, readings={**both.readings, LOT: (6000, 6000)}), first, at=LATER)

    assert [each.version for each in second.statements] == [2, 1]
    assert second.statements[1] is first.statements[1]
    assert [each.version for each in second.dso.participants] == [2, 1]
    assert {each.credit for each in posting_transfers(terms, first, second, at=LATER)} == {"participant:agg-1"}


def test_what_was_decided_stands_against_later_readings_and_the_newest_decision_counts() -> None:
    metered = [{"bus": "lot", "start": START + HOUR, "metered_w": watts} for watts in (9000, 6000)]
    disputes = (accepted("d1", metered=metered[:1]), accepted("d2", metered=metered[1:]))
    settled = settle(auction(2), replace(SOLD, disputes=disputes), at=NOW)

    (statement,) = settled.statements
    assert [(each.metered_w, each.basis) for each in statement.lines] == [(6000, "metered"), (6000, "decided")]
    assert statement.decisions == ("d1", "d2")


def test_adjustments_add_up_on_their_line() -> None:
    """0.4 EUR for the first hour, 0.05 - 0.02 EUR on top by two decisions."""
    disputes = tuple(
        accepted(name, adjustments=[{"bus": "lot", "start": START, "amount_eur": amount}])
        for name, amount in (("d1", "0.05"), ("d2", "-0.02"))
    )
    settled = settle(auction(2), replace(SOLD, disputes=disputes), at=NOW)

    (statement,) = settled.statements
    assert statement.lines[0].adjustment_eur == statement.adjustment_eur == Decimal("0.03")
    assert statement.lines[0].net_eur == Decimal("0.43")


def test_the_dso_pays_the_exact_sum_rounded_once() -> None:
    """Three lines of 4/9 of 1e-4 EUR each round to nothing; together 1.33e-4 EUR, which the DSO pays as 0.0001."""
    thirds = Inputs(
        tuple(award(-4, price="11.111111", who=who) for who in ("a", "b", "c")),
        {(who, "lot"): (10,) for who in "abc"},
        {(who, "lot"): (6,) for who in "abc"},
    )
    settled = settle(auction(1), thirds, at=NOW)

    assert [each.net_eur for each in settled.statements] == [0, 0, 0]
    assert settled.dso.net_eur == settled.dso.rounding_eur == Decimal("0.0001")
    (posted,) = posting_transfers(auction(1), None, settled, at=NOW)
    assert (posted.debit, posted.credit) == ("dso:dso-1", "rounding:auc-1")


Event: TypeAlias = tuple[str, Any]
watts = st.integers(-20_000, 20_000)
places = st.sampled_from([("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")])
read = st.tuples(st.just("read"), st.tuples(places, st.integers(0, 2), watts, st.booleans()))
decided = st.tuples(st.just("decide"), st.tuples(places, st.integers(0, 2), st.none() | watts, st.integers(-999, 999)))
events = st.lists(st.one_of(read, decided, st.just(("correct", None))), max_size=12)
products = st.sampled_from(
    [
        {},
        {"delivery_threshold": 0.75},
        {"delivery_threshold": 0.3, "full_payment_from": 0.9},
        {"penalty_eur_per_mwh": 0, "full_payment_from": 1.0},
    ]
)
awards = st.lists(
    st.builds(
        lambda place, power, price, uplift: award(
            *power, price=f"{price / 997:.6f}", uplift=f"{uplift / 10**4:.4f}", who=place[0], bus=place[1]
        ),
        places,
        st.tuples(watts, watts, watts).filter(any),
        st.integers(-(10**6), 10**6),
        st.integers(0, 9999),
    ),
    max_size=6,
)


def _after(inputs: Inputs, event: Event, number: int) -> Inputs:
    """What is on record once a reading came or a dispute was decided."""
    kind, what = event
    if kind == "read":
        place, period, power_w, late = what
        row = list(inputs.readings.get(place, (None,) * 3))
        row[period] = power_w
        flags = inputs.late.get(place, frozenset()) - {period} | ({period} if late else set())
        return replace(
            inputs, readings={**inputs.readings, place: tuple(row)}, late={**inputs.late, place: frozenset(flags)}
        )
    (who, bus), period, metered_w, amount = what
    line = {"bus": bus, "start": START + period * HOUR}
    change: dict[str, Any] = {"adjustments": [{**line, "amount_eur": f"{amount / 10**4:.4f}"}]}
    if metered_w is not None:
        change["metered"] = [{**line, "metered_w": metered_w}]
    dispute: Dispute = accepted(f"d{number}", who=who, **change)
    return replace(inputs, disputes=(*inputs.disputes, dispute))


def _amounts(settlement: Settlement) -> Iterable[object]:
    """All that a settlement says, but for when and as which version."""
    yield settlement.dso.model_copy(update={"version": 0, "settled_at": NOW, "participants": ()})
    yield from ((each.participant, each.lines, each.net_eur) for each in settlement.statements)


@given(products, awards, events, st.sampled_from(["undelivered", "baseline"]))
def test_deltas_of_any_chain_of_corrections_sum_to_a_settlement_from_scratch(
    product: dict[str, Any], awarded: list[Any], happened: list[Event], missing: Any
) -> None:
    terms = auction(3, **product)
    baselines = dict.fromkeys([("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")], (9000, 0, -9000))
    inputs = Inputs(tuple(awarded), baselines, {}, missing=missing)
    pending = pending_transfers(terms, awarded, at=NOW)
    ledger = [*pending, *voiding_transfers(pending, at=NOW)]
    stands = settle(terms, inputs, at=NOW)
    ledger += posting_transfers(terms, None, stands, at=NOW)
    versions = {each.participant: [each] for each in stands.statements}

    for number, event in enumerate([*happened, ("correct", None)]):
        if event[0] != "correct":
            inputs = _after(inputs, event, number)
            continue
        after = correct(terms, inputs, stands, at=LATER)
        ledger += posting_transfers(terms, stands, after, at=LATER)
        for each in after.statements:
            if each != versions[each.participant][-1]:
                versions[each.participant].append(each)
        stands = after
        assert sum(balances(ledger).values()) == 0

    scratch = settle(terms, inputs, at=NOW)
    assert list(_amounts(stands)) == list(_amounts(scratch))
    balance = balances(ledger)
    assert balance.get("dso:dso-1", 0) == -scratch.dso.net_eur
    assert balance.get("rounding:auc-1", 0) == scratch.dso.rounding_eur
    for each in scratch.statements:
        assert balance.get(f"participant:{each.participant}", 0) == each.net_eur
    for own in versions.values():
        assert [each.version for each in own] == list(range(1, len(own) + 1))
    assert len({each.id for each in ledger}) == len(ledger), "no entry is written twice"
    assert all(each.amount_eur >= 0 for each in ledger)


@given(awards, st.randoms(use_true_random=False))
def test_the_order_of_awards_changes_nothing(awarded: list[Any], dice: Any) -> None:
    shuffled = dice.sample(awarded, len(awarded))
    baselines = dict.fromkeys([("a", "x"), ("a", "y"), ("b", "x"), ("c", "x")], (9000, 0, -9000))
    first, second = (
        settle(auction(3), Inputs(tuple(each), baselines, {}, missing="undelivered"), at=NOW)
        for each in (awarded, shuffled)
    )

    assert first == second
