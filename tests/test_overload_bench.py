"""The overload benchmark: where it finds the knee, what falls into which window, and what fails which bar."""

import math
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.overload.judge import (
    Observed,
    Step,
    came_back,
    judge,
    knee_of,
    limit_after,
    p99_by_second,
    peak_of,
    per_second,
    share_of_a_core,
)
from benchmarks.overload.picture import draw
from benchmarks.overload.plan import Part, click_moments, in_a_row, ordinary_moments, write_plan
from benchmarks.storm.pages import OpenedPage, Visitor
from benchmarks.storm.records import BuyerRecord, OrdinaryRecord

BEFORE, OVERLOAD, AFTER = in_a_row(("before", 30, 20), ("overload", 60, 200), ("after", 20, 20))


def steps(*goodputs):
    rates = (100 * 2**number for number in range(len(goodputs)))
    return [
        Step(rate=rate, goodput=goodput, p50=1.0, p99=1.0, never_told=0, generator=0.1)
        for rate, goodput in zip(rates, goodputs, strict=False)
    ]


@pytest.mark.parametrize(
    ("goodputs", "rate"),
    [
        ((), None),
        ((100, 200, 400), None),
        ((100, 200, 310, 320), None),  # once is not enough
        ((100, 200, 310, 320, 300), 400),
        ((100, 200, 310, 320, 330), 400),  # to creep is not to rise
        ((100, 200, 150, 400, 390, 380), 800),  # one bad step in between
        ((100, 104, 90), 100),
        ((100, 105, 90, 90), 200),
        ((0, 0), None),
    ],
)
def test_the_knee_is_the_last_step_that_brought_more_before_two_that_did_not(goodputs, rate):
    knee = knee_of(steps(*goodputs))

    assert (knee and knee.rate) == rate


def test_the_peak_may_lie_behind_the_knee():
    assert peak_of(steps(100, 200, 310, 320, 300)) == 320


def test_a_window_has_its_beginning_and_not_its_end():
    assert per_second([1.0, 1.5, 2.9, 3.0, 9.0], 1.0, 3.0) == 1.5


def test_parts_follow_each_other():
    assert (BEFORE.start, BEFORE.end, OVERLOAD.end, AFTER.end) == (0, 30, 90, 110)
    assert (BEFORE.clicks, OVERLOAD.clicks) == (600, 12_000)


def test_each_interval_has_one_click_and_the_seed_says_where():
    parts = [Part("slow", 0.0, 10.0, 5.0), Part("fast", 10.0, 12.0, 50.0)]

    once, again = (list(click_moments(parts, seed=7)) for _ in range(2))

    assert once == again
    assert once != list(click_moments(parts, seed=8))
    assert [int(moment * 5) for moment in once[:50]] == list(range(50))
    assert [int((moment - 10) * 50) for moment in once[50:]] == list(range(100))


def test_ordinary_purchases_are_as_many_in_each_second():
    moments = ordinary_moments([BEFORE, OVERLOAD], 10)

    assert Counter(map(int, moments)) == dict.fromkeys(range(90), 10)


def test_a_plan_without_a_page_for_everybody_is_refused(tmp_path):
    page = OpenedPage(Visitor("a@example.org", "10.0.0.1"), "v1.pass", "key")

    write_plan(tmp_path / "plan", clicks=[0.5], buyers=[page], purchases=[0.25], shoppers=[page])
    with pytest.raises(ValueError, match="shorter"):
        write_plan(tmp_path / "other", clicks=[0.5, 0.6], buyers=[page], purchases=[], shoppers=[])

    assert (tmp_path / "plan").read_text().splitlines() == [
        "storm\t500000\tv1.pass\tkey\ta@example.org\t10.0.0.1\tabandon",
        "ordinary\t250000\tv1.pass\tkey\ta@example.org\t10.0.0.1\tpay",
    ]


def buyer(clicked, took):
    """Told the truth after `took` seconds; None: never."""
    told = None if took is None else clicked + took
    nothing = dict.fromkeys(
        ("first_kind", "refusal", "outcome", "ticket", "second_kind", "second_ticket"), ""
    )
    numbers = dict.fromkeys(
        ("retries", "lost_tickets", "backwards", "timeouts", "no_connection", "lost", "retransmits"), 0
    )
    return BuyerRecord(
        behaviour="abandon",
        intended=clicked,
        clicked=clicked,
        first=told,
        truthful=told,
        held=told,
        paid=None,
        keyed=None,
        truth="" if told is None else "held",
        keys=(),
        server_errors=0,
        statuses=Counter({202: 1}),
        **nothing,
        **numbers,
    )


def test_p99_is_told_for_each_second_of_the_click_and_the_untold_count_as_the_timeout():
    buyers = [buyer(10.2, 1.0), buyer(10.9, 2.0), buyer(12.0, None), buyer(13.0, 1.0)]

    first, second, third = p99_by_second(buyers, 10.0, 13.0)

    assert first == pytest.approx(2.0)
    assert math.isnan(second)
    assert third == 30.0


@pytest.mark.parametrize(
    ("by_second", "second"),
    [
        ([9, 9, 1, 1], 2),
        ([1, 9, 1, 1], 2),
        ([1, 1], 0),
        ([1, 9], None),
        ([9, math.nan, 1], 2),
        ([], None),
    ],
)
def test_back_is_when_it_stays(by_second, second):
    assert came_back(by_second, 2.0) == second


def test_nothing_is_back_where_nobody_was_told_before_either():
    assert limit_after(1.5) == 3.0
    assert limit_after(30.0) == 0.0


def test_the_share_of_a_core_is_that_of_the_whole_seconds_within():
    assert share_of_a_core([9.0, 0.2, 0.4, 9.0], 0.5, 3.9) == pytest.approx(0.3)
    assert math.isnan(share_of_a_core([], 0, 5))


def ordinary(moment, took):
    done = None if took is None else moment + took
    return OrdinaryRecord(intended=moment, done=done, refused_with=0, retries=0, timeouts=0, server_errors=0)


def observed(*, overloaded=1.0, late=1.0, beside=0.1, goodput=190, **changes):
    """A run in which all is well unless said: seconds until the truth, in the overload and from 5 s after it,
    seconds that an ordinary purchase takes in the overload, orders a second.
    """
    buyers = [buyer(moment, 1.0) for moment in click_moments([BEFORE], seed=1)]
    buyers += [buyer(moment, overloaded) for moment in click_moments([OVERLOAD], seed=1)]
    buyers += [
        buyer(moment, late if moment >= AFTER.start + 5 else 9.0) for moment in click_moments([AFTER], seed=1)
    ]
    purchases = ordinary_moments([BEFORE, OVERLOAD, AFTER], 10)
    usual = Observed(
        steps=steps(100, 200, 199, 198),
        knee=steps(100, 200)[-1],
        before=BEFORE,
        overload=OVERLOAD,
        after=AFTER,
        buyers=buyers,
        ordinary=[ordinary(at, beside if OVERLOAD.start <= at < OVERLOAD.end else 0.1) for at in purchases],
        committed=list(click_moments([Part("", OVERLOAD.start, OVERLOAD.end, goodput)], seed=1)),
        cpu_by_second=[0.2] * 110,
        starved=0,
        free=100,
        verified={"a check": []},
    )
    return replace(usual, **changes)


def failed(case):
    return [bar.claim for bar in judge(case)[1] if not bar.holds]


def test_a_shop_that_stands_it_passes_and_is_drawn():
    case = observed(overloaded=8.0)
    figures, bars = judge(case)

    assert all(bar.holds for bar in bars)
    assert figures["goodput"]["of_peak"] == pytest.approx(0.95)
    assert figures["p99"]["back_after_s"] == 5
    assert figures["ordinary"]["counts"] == {"before": 300, "overload": 600, "after": 200}
    picture = draw(figures, case, conditions="a < b")
    assert picture.startswith("<svg")
    assert "a &lt; b" in picture


def test_who_was_never_told_is_counted_where_he_clicked():
    figures, _ = judge(observed(overloaded=None))

    assert [part["never_told"] for part in figures["parts"].values()] == [0, 12_000, 0]
    assert figures["parts"]["overload"]["p99"] == 30


@pytest.mark.parametrize(
    ("case", "claim"),
    [
        (observed(goodput=170), "goodput in the overload 0.85 of the peak"),
        (observed(free=0), "stock was never exhausted: 0 units left"),
        (observed(late=2.5), "p99 from 5 s after the overload 2.50 s, before it 1.00 s"),
        (observed(beside=0.3), "ordinary purchases: p95 3.00 times that of before"),
        (observed(ordinary=[ordinary(1, 0.1), ordinary(40, 0.1)]), "ordinary purchases: p95 1.00 times"),
        (observed(beside=None), "ordinary purchases: p95 300.00 times"),
        (observed(verified={"a": ["x"], "b": []}), "verify: 1 of 2 checks hold"),
        (observed(cpu_by_second=[0.2] * 30 + [0.8] * 60 + [0.2] * 20), "the generator took 80% of a core"),
        (observed(starved=1), "the generator took 20% of a core (at most 70%) and wanted 1 connections"),
    ],
)
def test_what_goes_wrong_fails_its_bar(case, claim):
    (said,) = failed(case)

    assert said.startswith(claim)
