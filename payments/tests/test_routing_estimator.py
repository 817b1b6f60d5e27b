"""What is known of channels, from cohorts alone."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.routing.choosing import Option, rank
from payments.routing.cohorts import DELAYS, Book
from payments.routing.delays import UNKNOWN, learn
from payments.routing.estimator import Estimate, Knobs, Snapshot, estimate, learn_curves

GOOD, OTHER = 1, 2
START = 1_700_000_000.0
KNOBS = Knobs()


def run(book, *, channel, begins, ends, rate, per_second=4, until=None, delay=15.0, seed=1):
    """Payments that come evenly; of those that are made, what was heard of by `until`."""
    rng = Random(seed)
    for number in range(int((ends - begins) * per_second)):
        at = START + begins + number / per_second
        book.sent(channel, at)
        heard_at = at + delay * rng.lognormvariate(0, 0.5)
        if rng.random() < rate and heard_at <= START + (ends if until is None else until):
            book.paid(channel, sent_at=at, at=heard_at)


def known(book, now, knobs=KNOBS):
    cohorts = book.cohorts(START + now)
    return estimate(cohorts, START + now, learn_curves(cohorts, START + now), knobs)


def test_what_cannot_have_been_heard_of_yet_counts_for_nothing():
    book = Book()
    run(book, channel=GOOD, begins=0, ends=600, rate=0.8)
    run(book, channel=OTHER, begins=585, ends=600, rate=0.8, per_second=40)

    seen = known(book, 600)

    assert seen.of(GOOD).rate == pytest.approx(0.8, abs=0.05)
    assert seen.of(OTHER).rate == pytest.approx(0.8, abs=0.12)
    assert seen.of(OTHER).in_flight > 400


def test_control_without_the_delays_the_newer_one_looks_dead():
    book = Book()
    run(book, channel=GOOD, begins=0, ends=600, rate=0.8)
    run(book, channel=OTHER, begins=585, ends=600, rate=0.8, per_second=40)

    assert known(book, 600, Knobs(learns_delays=False)).of(OTHER).rate < 0.4


def test_the_delays_are_learnt_from_young_cohorts_without_being_fooled_by_them():
    """A rush: most payments are so young that only their short delays can have been seen."""
    book = Book()
    run(book, channel=GOOD, begins=0, ends=300, rate=0.8, until=320)
    run(book, channel=GOOD, begins=300, ends=320, rate=0.8, per_second=100, until=320)
    cohorts = book.cohorts(START + 320)

    learnt, _ = learn(cohorts, START + 320)

    # Log-normal: half within 15 s, 28 % within 11.2 s; naively a large majority would be.
    assert learnt.shares[DELAYS.index(15)] == pytest.approx(0.5, abs=0.08)
    heard = [delay for c in cohorts for t in c.tallies.values() for delay in t.delays.items()]
    naively = sum(w for bin_, w in heard if DELAYS[bin_] <= 15) / sum(w for _, w in heard)
    assert naively > 0.6


def test_a_channel_that_reports_late_has_a_curve_of_its_own():
    book = Book()
    run(book, channel=GOOD, begins=0, ends=900, rate=0.7, delay=10)
    run(book, channel=OTHER, begins=0, ends=900, rate=0.7, delay=45)

    seen = known(book, 900)

    assert seen.of(OTHER).rate == pytest.approx(seen.of(GOOD).rate, abs=0.08)


def test_a_channel_that_dies_is_found_out_before_its_payments_are_overdue():
    book = Book()
    run(book, channel=GOOD, begins=0, ends=600, rate=0.8, until=618)
    run(book, channel=OTHER, begins=0, ends=618, rate=0.6, per_second=1)
    run(book, channel=GOOD, begins=600, ends=618, rate=0.0, until=618, seed=2)

    assert known(book, 600).of(GOOD).rate > 0.7
    assert known(book, 618).of(GOOD).rate < 0.5


def test_a_channel_that_is_well_again_is_believed_after_a_few_payments():
    book = Book()
    run(book, channel=OTHER, begins=0, ends=900, rate=0.7)
    run(book, channel=GOOD, begins=0, ends=600, rate=0.0)
    assert known(book, 600).of(GOOD).rate < 0.1
    run(book, channel=GOOD, begins=600, ends=900, rate=0.8, per_second=0.1)

    assert known(book, 900).of(GOOD).rate > 0.5


def all_down(*, others_fall):
    book = Book()
    for channel, rate, per_second in ((GOOD, 0.8, 4), (OTHER, 0.7, 0.4)):
        run(book, channel=channel, begins=0, ends=600, rate=rate, per_second=per_second)
        falls = channel == GOOD or others_fall
        run(book, channel=channel, begins=600, ends=720, rate=0.0 if falls else rate, per_second=per_second)
    return known(book, 720)


def test_when_all_fall_together_none_is_thought_worse_of():
    seen = all_down(others_fall=True)

    assert seen.of(GOOD).rate > 0.7
    assert seen.of(GOOD).rate > seen.of(OTHER).rate


def test_a_channel_first_used_while_all_were_down_is_like_any_other():
    book = Book()
    for channel in (GOOD, OTHER):
        run(book, channel=channel, begins=0, ends=600, rate=0.8)
    for channel, per_second in ((GOOD, 4), (OTHER, 1), (3, 0.1)):
        run(book, channel=channel, begins=600, ends=700, rate=0.0, per_second=per_second)

    seen = known(book, 700)

    assert seen.of(3).rate == seen.anyone.rate > 0.7


def test_control_when_only_one_falls_it_is():
    seen = all_down(others_fall=False)

    assert seen.of(GOOD).rate < 0.2
    assert seen.of(OTHER).rate > 0.5


def test_a_technical_error_is_a_failure_at_once():
    book = Book()
    run(book, channel=GOOD, begins=0, ends=300, rate=0.8)
    for second in range(300, 304):
        for _ in range(5):
            book.error(GOOD, START + second)

    assert known(book, 304).of(GOOD).rate < 0.5


outcomes = st.lists(
    st.tuples(
        st.sampled_from([GOOD, OTHER]),
        st.floats(0, 2000),
        st.one_of(st.none(), st.floats(0, 900)),
        st.floats(0.01, 30),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(outcomes, st.floats(0, 3000))
def test_whatever_was_seen_a_rate_is_a_rate_and_a_curve_rises_to_one(seen, later):
    book = Book()
    for channel, at, delay, weight in seen:
        book.sent(channel, START + at, weight)
        if delay is not None:
            book.paid(channel, sent_at=START + at, at=START + at + delay, weight=weight)
    now = START + 2000 + later
    cohorts = book.cohorts(now)
    curves = learn_curves(cohorts, now)

    for curve in (curves.all, *curves.own.values()):
        assert list(curve.shares) == sorted(curve.shares)
        assert curve.shares[0] >= 0
        assert curve.shares[-1] == 1
    for one in estimate(cohorts, now, curves, KNOBS).estimates.values():
        assert 0 <= one.rate <= 1
        assert KNOBS.prior <= one.trials <= KNOBS.most + KNOBS.prior + 1e-6
        assert min(one.paid_and_not) > 0


@given(st.floats(0, 700), st.floats(0, 100))
def test_the_older_a_cohort_the_more_has_been_heard_of(age, more):
    for lasts in (5, 60):
        assert 0 <= UNKNOWN.heard(age, lasts) <= UNKNOWN.heard(age + more, lasts) + 1e-9 <= 1 + 1e-9


def test_nobody_is_counted_twice_where_fine_and_coarse_cohorts_meet():
    book = Book()
    for second in range(1000):
        book.sent(GOOD, START + second)

    for now in range(1000, 1060, 7):
        assert sum(cohort.of(GOOD).sent for cohort in book.cohorts(START + now)) == 1000


def snapshot(**rates):
    estimates = {int(key[1:]): Estimate(*numbers) for key, numbers in rates.items()}
    return Snapshot(START, estimates, per_second=10, in_flight=sum(e.in_flight for e in estimates.values()))


def shares(options, known, *, amount_minor=1000, knobs=KNOBS, times=2000):
    rng, first = Random(3), [0] * 10
    for _ in range(times):
        first[rank(options, known, amount_minor=amount_minor, rng=rng, knobs=knobs).order[0].key] += 1
    return [count / times for count in first]


def test_a_dead_channel_gets_only_probes():
    known = snapshot(_1=(0.02, 50, 0), _2=(0.75, 300, 100))

    dead, alive = shares([Option(1), Option(2)], known)[1:3]

    assert 0 < dead < 2 * KNOBS.probing
    assert dead + alive == 1


def test_who_is_little_known_is_tried_but_only_so_much_is_at_stake():
    unsure, sure = (0.7, 4, 0), (0.72, 400, 100)
    tried = shares([Option(1), Option(2)], snapshot(_1=unsure, _2=sure))[1]
    full = KNOBS.in_flight * 200 + KNOBS.in_flight_least
    with_much_in_flight = shares([Option(1), Option(2)], snapshot(_1=(0.7, 4, full), _2=sure))[1]

    assert tried > 0.1
    assert with_much_in_flight == 0


def test_what_is_left_after_the_fee_decides():
    same = snapshot(_1=(0.75, 500, 0), _2=(0.75, 500, 0))
    dear = Option(1, fee_basis_points=3000)

    assert rank([dear, Option(2)], same, amount_minor=1000, rng=Random(1), knobs=KNOBS).order[0].key == 2
    assert shares([Option(1, fee_fixed_minor=500), Option(2)], same, amount_minor=1000)[2] > 0.9
    assert shares([Option(1, fee_fixed_minor=500), Option(2)], same, amount_minor=1_000_000)[1] > 0.1


def order(*options, known=None, amount_minor=1000):
    known = known or snapshot(_1=(0.9, 900, 0), _2=(0.5, 900, 0), _3=(0.3, 900, 0))
    calm = Knobs(probing=0.0)
    ranking = rank(options, known, amount_minor=amount_minor, rng=Random(1), knobs=calm)
    return [option.key for option in ranking.order]


def test_the_next_best_is_the_one_to_fall_back_on():
    assert order(Option(3), Option(2), Option(1)) == [1, 2, 3]


def test_whose_limits_forbid_the_amount_is_left_out():
    assert order(Option(1, most_minor=999), Option(2, least_minor=1000), Option(3, least_minor=1001)) == [2]
    assert order(Option(1, most_minor=999)) == []


def test_who_is_left_alone_comes_last():
    assert order(Option(1, is_left_alone=True), Option(2), Option(3)) == [2, 3, 1]
    assert order(Option(1, is_left_alone=True), Option(2, is_left_alone=True)) == [1, 2]


def test_a_pinned_one_comes_first_while_it_works():
    assert order(Option(1), Option(2, is_pinned=True)) == [2, 1]
    assert order(Option(1), Option(2, is_pinned=True, is_left_alone=True)) == [1, 2]
    assert order(Option(1), Option(3, is_pinned=True)) == [1, 3]


def test_while_nothing_is_known_the_merchants_order_leads():
    assert shares([Option(5), Option(4), Option(6)], Snapshot(START, per_second=1000))[5] > 0.9
