"""The storm benchmark itself: what it counts, and what it makes of it."""

import json
import math
import socket
import subprocess
import threading
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest

from benchmarks.storm.books import Books, counted
from benchmarks.storm.build import compile_generator
from benchmarks.storm.pages import OpenedPage, Visitor
from benchmarks.storm.picture import draw
from benchmarks.storm.plan import Shape, address_of, behaviours, write_plan
from benchmarks.storm.processes import CpuSamples, role_of
from benchmarks.storm.reached import Reached, read_reached
from benchmarks.storm.records import BuyerRecord, OrdinaryRecord, read_buyers, read_ordinary
from benchmarks.storm.results import (
    TIMEOUT,
    Observed,
    cumulative,
    judge,
    ordinary_seconds,
    percentile,
    server_errors,
    truthful_seconds,
)
from tests.stack import free_ports

TICKET, OTHER_TICKET = "a" * 64, "b" * 64


class Shop(BaseHTTPRequestHandler):
    """Shop and provider in one, as the contract wants it, with mishaps on the way."""

    protocol_version = "HTTP/1.1"
    seen: Counter[str]
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def count(self, what):
        with self.lock:
            self.seen[what] += 1
            return self.seen[what]

    def reply(self, status, body=None, **headers):
        """In two chunks, cut within a word."""
        text = json.dumps(body or {}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (text[:1], text[1:]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/api/v1/tickets/":
            self.click(json.loads(body))
        elif self.path.endswith("/payments/"):
            self.reply(201, {"pay_url": self.url("/pay/1")}, Set_Cookie="order=tok; Path=/pay/return/1/")
        elif self.path == "/pay/1":
            assert body == "action=pay"
            self.count("paid")
            self.reply(303, Location=self.url("/pay/return/1/?signed=yes"))
        elif self.path == "/buy/beside/":
            assert "contact_email=o%2B1%40example.org" in body
            self.reply(303, Location="/o/tok/")

    def click(self, wanted):
        buyer = wanted["contact_email"].partition("@")[0]
        times = self.count(f"click {buyer}")
        if buyer == "unlucky" and times == 1:
            self.reply(503, {"code": "unavailable"}, Retry_After="0")
        elif buyer == "crowded" and times == 1:
            self.reply(503, {"code": "unavailable"}, Retry_After="0", X_Click="unheard")
        elif buyer == "late":
            self.reply(409, {"code": "line_full", "message": "", "fields": {}})
        else:
            wrong = buyer == "twin" and times == 2
            ticket = OTHER_TICKET if wrong else TICKET
            state = {"ticket": ticket, "status": "queued", "ahead": 3, "order": None}
            self.reply(202, state, Location=f"/api/v1/tickets/storm/{buyer}/", Retry_After="0")

    def do_GET(self):
        if self.path.startswith("/api/v1/tickets/"):
            self.tell(self.path.split("/")[-2])
        elif self.path.endswith("/keys/"):
            self.reply(200, {"lines": [{"keys": ["KEY-1"]}]})
        elif self.path.startswith("/api/v1/orders/"):
            paid = bool(self.seen["paid"])
            self.reply(200, {"status": "pending", "can_pay": not paid, "has_keys": paid, "next_look": 0})
        elif self.path.startswith("/pay/return/"):
            self.count(f"back with {self.headers['Cookie']}")
            self.reply(302, Location="/o/tok/")
        else:
            self.count(f"page for {self.headers['X-Forwarded-For']}")
            self.reply(200, {"page": "x" * 20_000})

    def tell(self, buyer):
        times = self.count(f"poll {buyer}")
        if buyer == "unlucky" and times == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif buyer == "unlucky" and times == 2:
            self.reply(404, {"code": "unknown_ticket"})
        elif buyer in ("unlucky", "idler"):
            self.reply(200, {"status": "held", "order": {"token": "tok", "number": "1"}, "reason": ""})
        elif times == 1:
            self.reply(200, {"status": "waiting", "ahead": 3}, Retry_After="2" if "patient" in buyer else "0")
        else:
            self.reply(200, {"status": "refused", "reason": "sold_out"})


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return compile_generator(tmp_path_factory.mktemp("generator"))


@pytest.fixture
def shop():
    handler = type("Handler", (Shop,), {"seen": Counter()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.seen = handler.seen
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(generator, folder, port, lines, *, deadline=10.0, files=256, code=0):
    """Run a plan of (kind, behaviour, name), 20 ms apart; the records and the totals."""
    plan = "".join(
        f"{kind}\t{20_000 * n}\tv1.pass\tkey-{n:016}\t{name}@example.org\t10.0.0.{n + 1}\t{behaviour}\n"
        for n, (kind, behaviour, name) in enumerate(lines)
    )
    (folder / "plan").write_text(plan)
    base = f"http://127.0.0.1:{port}"
    done = subprocess.run(
        [
            *("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", generator),
            *(f"--{name}={folder / name}" for name in ("plan", "buyers", "shoppers", "totals")),
            *(f"--hot={base}", f"--web={base}", "--storm-code=storm", "--ordinary-code=beside"),
            *(f"--deadline={deadline}", "--patience=2"),
        ],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    totals = json.loads((folder / "totals").read_text())
    return read_buyers(folder / "buyers"), read_ordinary(folder / "shoppers"), totals


def test_a_buyer_whose_click_and_polls_go_wrong_still_gets_the_key(generator, shop, tmp_path):
    (buyer,), _, totals = run(generator, tmp_path, shop.server_port, [("storm", "pay", "unlucky")])

    assert (buyer.outcome, buyer.truth, buyer.keys) == ("sold", "held", ("KEY-1",))
    assert buyer.first_kind == "503"
    assert (buyer.server_errors, buyer.lost_tickets, buyer.statuses[503]) == (1, 1, 1)
    assert buyer.intended < buyer.first < buyer.truthful <= buyer.held < buyer.paid < buyer.keyed
    assert (shop.seen["click unlucky"], shop.seen["back with order=tok"]) == (3, 1)
    assert server_errors(totals) == 1
    assert totals["steps"]["pay"]["statuses"] == {"303": 1}
    # The poll that the server hung up on was sent again.
    assert (totals["stale"], totals["steps"]["poll"]["requests"]) == (1, 2)


def test_a_click_that_the_gateway_had_no_place_for_is_no_error_of_the_shop(generator, shop, tmp_path):
    (buyer,), _, totals = run(generator, tmp_path, shop.server_port, [("storm", "pay", "crowded")])

    assert (buyer.outcome, buyer.statuses[503]) == ("refused", 1)
    assert totals["unheard"] == 1
    assert server_errors(totals) == 0


def test_each_behaviour_does_as_it_is_called(generator, shop, tmp_path):
    plan = [
        ("storm", "abandon", "idler"),
        ("storm", "double", "pair"),
        ("storm", "pay", "late"),
        ("storm", "hammer", "keen"),
    ]
    (idler, pair, late, keen), _, _ = run(generator, tmp_path, shop.server_port, plan)

    assert (idler.outcome, idler.truth, idler.paid) == ("abandoned", "held", None)
    assert (pair.outcome, pair.truth, pair.refusal) == ("refused", "waiting", "sold_out")
    assert (pair.ticket, pair.second_kind, pair.second_ticket) == (TICKET, "ticket", TICKET)
    assert (late.outcome, late.truth, late.first_kind) == ("refused", "refused", "409")
    assert late.first == pytest.approx(late.truthful, abs=0.05)
    assert shop.seen["click keen"] >= 2
    assert keen.outcome == "refused"
    assert shop.seen["paid"] == 0


def test_two_tickets_for_one_click_are_noticed(generator, shop, tmp_path):
    (twin,), _, _ = run(generator, tmp_path, shop.server_port, [("storm", "double", "twin")])

    assert {twin.ticket, twin.second_ticket} == {TICKET, OTHER_TICKET}
    assert twin.two_tickets


def test_an_ordinary_purchase_ends_with_the_whole_order_page(generator, shop, tmp_path):
    _, (bought,), totals = run(generator, tmp_path, shop.server_port, [("ordinary", "pay", "o+1")])

    assert 0 < bought.seconds < 2
    assert totals["steps"]["buy"]["statuses"] == {"303": 1}
    assert shop.seen["page for 10.0.0.1"] == 1


def test_where_nobody_listens_every_buyer_counts_as_never_told(generator, tmp_path):
    (port,) = free_ports(1)
    buyers, (bought,), totals = run(
        generator, tmp_path, port, [("storm", "pay", "a"), ("ordinary", "pay", "b")], deadline=1.0
    )

    assert [(b.outcome, b.truth, b.first) for b in buyers] == [("out_of_time", "", None)]
    assert buyers[0].no_connection >= 2
    assert buyers[0].no_connection == totals["steps"]["click"]["no_connection"]
    assert bought.seconds is None
    assert truthful_seconds(buyers) == [TIMEOUT]


def test_who_waits_gives_up_the_connection_when_files_run_short(generator, shop, tmp_path):
    crowd = [("storm", "abandon", f"patient-{number}") for number in range(88)]

    buyers, _, totals = run(generator, tmp_path, shop.server_port, crowd[:80], files=64)
    _, _, roomy = run(generator, tmp_path, shop.server_port, crowd[80:], files=64)

    assert {b.outcome for b in buyers} == {"refused"}
    assert totals["most_open"] <= 60
    assert totals["connections"] > 80
    assert totals["starved"] == 0
    assert roomy["connections"] == 8


def test_a_run_that_wanted_more_files_than_there_are_is_void_and_says_so(generator, tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=128) as deaf:
        crowd = [("storm", "abandon", f"unheard-{number}") for number in range(40)]
        buyers, _, totals = run(
            generator, tmp_path, deaf.getsockname()[1], crowd, files=32, code=2, deadline=1.5
        )

    assert len(buyers) == 40
    assert totals["starved"] > 0
    assert totals["void"]


def test_a_plan_that_cannot_be_read_is_refused(generator, tmp_path):
    with pytest.raises(AssertionError, match="line 1 is no entry"):
        run(generator, tmp_path, 1, [("storm", "dance", "a")])


SHAPE = Shape(
    hold_seconds=20,
    buyers=1000,
    seed=7,
    spread=1.0,
    abandoning=0.2,
    doubling=0.05,
    hammering=0.02,
    ordinary_rate=20.0,
    ordinary_each=300,
)


def test_the_seed_alone_decides_the_plan(tmp_path):
    pages = [OpenedPage(Visitor(f"{n}@example.org", "10.0.0.1"), "pass", "key") for n in range(1000)]

    for name in ("once", "again"):
        write_plan(tmp_path / name, SHAPE, storm=pages, ordinary=pages[: SHAPE.ordinary_count])

    assert (tmp_path / "once").read_text() == (tmp_path / "again").read_text()
    moments = [
        int(line.split("\t")[1])
        for line in (tmp_path / "once").read_text().splitlines()
        if line.startswith("storm")
    ]
    assert len(moments) == 1000
    assert 17_000_000 <= min(moments) <= max(moments) <= 18_000_000


def test_a_fifth_of_the_buyers_abandon():
    shares = Counter(islice(behaviours(SHAPE), 20_000))

    assert shares["abandon"] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert shares["hammer"] / 20_000 == pytest.approx(0.02, abs=0.005)


def test_every_visitor_has_an_address_of_their_own():
    assert len({address_of(number, network=32) for number in range(70_000)}) == 70_000
    assert address_of(253, network=32) == "10.32.0.254"
    assert address_of(254, network=32) == "10.32.1.1"


def test_a_percentile_is_a_value_that_was_measured():
    thousand = [float(n) for n in range(1, 1001)]

    assert percentile(thousand, 50) == 500
    assert percentile(thousand, 99.9) == 999
    assert percentile(thousand, 100) == 1000
    assert percentile([3.0], 99) == 3
    assert math.isnan(percentile([], 50))


def test_ordinary_purchases_are_told_apart_by_when_they_were_due():
    def due(at, seconds):
        done = None if seconds is None else at + seconds
        return OrdinaryRecord(intended=at, done=done, refused_with=0, retries=0, timeouts=0, server_errors=0)

    records = [due(n / 20, 0.01) for n in range(340)] + [due(17 + n / 20, 0.02) for n in range(600)]
    records[-600] = due(17, None)

    before, during = ordinary_seconds(records, storm_at=17.0, rate=20.0, last_truthful=20.0)
    _, longer = ordinary_seconds(records, storm_at=17.0, rate=20.0, last_truthful=37.0)

    assert (len(before), len(during), len(longer)) == (300, 300, 400)
    assert set(map(round_ms, before)) == {10}
    assert during[0] == TIMEOUT


def round_ms(seconds):
    return round(1000 * seconds)


def test_cpu_between_two_looks_is_interpolated():
    samples = CpuSamples(
        [10.0, 11.0, 12.0], [{"web": 1.0}, {"web": 2.0, "hot": 1.0}, {"web": 2.0, "hot": 5.0}]
    )

    assert samples.between(10.5, 11.5) == {"hot": 2.5, "web": 0.5}
    assert samples.between(0, 99) == {"hot": 5.0, "web": 1.0}


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("/x/postgres -D /y", "postgres"),
        ("postgres: cardshop cardshop [local] idle", "postgres"),
        ("/x/redis-server unixsocket:/y", "redis"),
        ("python -m sandbox --port 8001", "sandbox"),
        ("python manage.py allocate --isolated", "allocator"),
        ("python -m celery --app cardshop worker --queues mail --hostname mail@%h", "mail"),
        ("python -m celery --app cardshop --quiet beat --schedule x", "beat"),
        ("python -m gunicorn --config deploy/gunicorn.conf.py cardshop.wsgi", "web"),
        ("python -m cardshop.embedded --var x", "supervision"),
        ("sh -c while true; do python -m gunicorn cardshop.wsgi; done", "supervision"),
    ],
)
def test_processes_are_known_by_their_command(command, role):
    assert role_of(command) == role


def test_the_other_pools_are_known_by_their_ports():
    pools = {8001: "hot", 8002: "api"}

    assert role_of("gunicorn cardshop.wsgi", listens_on={8001}, pools=pools) == "hot"
    assert role_of("gunicorn cardshop.wsgi", listens_on={8002}, pools=pools) == "api"
    assert role_of("gunicorn cardshop.wsgi", listens_on={8000}, pools=pools) == "web"


BUYER = BuyerRecord(
    behaviour="pay",
    intended=1.0,
    clicked=1.0,
    first=1.1,
    truthful=1.5,
    held=1.5,
    paid=2.0,
    keyed=3.0,
    first_kind="202",
    truth="held",
    refusal="",
    outcome="sold",
    ticket=TICKET,
    second_kind="",
    second_ticket="",
    keys=("K1",),
    retries=0,
    lost_tickets=0,
    backwards=0,
    timeouts=0,
    no_connection=0,
    lost=0,
    retransmits=0,
    server_errors=0,
    statuses=Counter({200: 1}),
)


def buyer(**changes):
    return replace(BUYER, **changes)


def observed(buyers, **changes):
    step = {"statuses": {"200": 1}, "timed_out": 0, "no_connection": 0, "connection_lost": 0, "unreadable": 0}
    names = ("cpu_s", "wall_s", "busy_share", "busiest_second", "overall_share", "latest_start_s")
    counts = ("connections", "most_open", "stale", "syn_retransmits", "retransmits", "unheard")
    usual = {
        "buyers": buyers,
        "ordinary": [],
        "totals": {"steps": {"click": step, "pay": step}, **dict.fromkeys((*names, *counts), 0)},
        "imported": ["K1"],
        "paid_trades": ["T1"],
        "verified": {"a check": []},
        "storm_at": 1.0,
        "storm_ends": 2.0,
        "ordinary_rate": 0.0,
        "cpu": {"web": 0.015, "supervision": 0.005, "sandbox": 5.0},
    }
    return Observed(**{**usual, **changes})


def failed(case):
    return [bar.claim for bar in judge(case).bars if bar.holds is False]


def test_a_clean_storm_passes_and_is_drawn():
    refused = buyer(outcome="refused", truth="refused", held=None, paid=None, keyed=None, keys=(), ticket="")
    results = judge(observed([buyer(), refused]))

    assert results.passed
    assert results.figures["checkouts_per_cpu_second"] == 50.0  # the sandbox is the provider's
    assert results.figures["admissions"] == 1
    picture = draw(results, [buyer(), refused], storm_at=1.0, spread=1.0, conditions="a < b")
    assert picture.startswith("<svg")
    assert "a &lt; b" in picture


@pytest.mark.parametrize(
    ("case", "claim"),
    [
        (observed([buyer(truthful=None, truth="")]), "0 of 1 buyers were told the truth"),
        (observed([buyer(truthful=32.0)]), "1 waited longer than 30 s for it"),
        (observed([buyer(truthful=17.0)]), "p99 of the first truthful answer 16.00 s (below 15)"),
        (observed([buyer(), buyer()]), "2 keys sold of 1, 1 distinct, all imported"),
        (observed([buyer(keys=("K2",))]), "1 keys sold of 1, 1 distinct, all imported"),
        (observed([buyer()], paid_trades=["T1", "T2"]), "2 payments at the provider"),
        (observed([buyer(second_ticket=OTHER_TICKET)]), "1 clicks sent twice were given two tickets"),
        (observed([buyer(backwards=1)]), "1 tickets went backwards"),
        (observed([buyer()], verified={"a": [], "b": ["x"]}), "verify --settled: 1 of 2 checks hold"),
        (
            observed([buyer()], books=Books(3, 2, {"delivered": 2, "refused": 1}, {"ordered": 2})),
            "books: 3 settled tickets = 2 delivered + 1 refused; not in the metrics: +1 refused",
        ),
        (
            observed(
                [buyer()], books=Books(2, 2, {"delivered": 2, "refused": 1}, {"ordered": 2, "refused": 1})
            ),
            "books: 2 settled tickets = 2 delivered + 1 refused; not in the metrics: none",
        ),
    ],
)
def test_what_goes_wrong_fails_its_bar(case, claim):
    assert claim in failed(case)


def test_the_books_of_the_processes_follow_those_who_leave_the_line():
    metrics = """
cardshop_tickets_settled_total{outcome="ordered",variant="STORM"} 5.0
cardshop_tickets_settled_total{outcome="waiting",variant="STORM"} 4.0
cardshop_tickets_settled_total{outcome="waiting",variant="ANOTHER"} 9.0
cardshop_line_left_total{outcome="ordered",variant="STORM"} 2.0
cardshop_line_left_total{outcome="left",variant="STORM"} 1.0
"""

    assert counted(metrics, "STORM") == {"ordered": 7, "waiting": 1, "left": 1}


def test_the_providers_own_errors_are_not_the_shops():
    answers = {"statuses": {"200": 5, "503": 2}}

    assert server_errors({"steps": {"click": answers, "pay": answers}, "unheard": 0}) == 2
    assert server_errors({"steps": {"click": answers, "pay": answers}, "unheard": 1}) == 1


def test_a_cumulative_curve_is_thin_and_ends_with_everybody():
    curve = cumulative([n / 100 for n in range(10_000)])

    assert len(curve) <= 401
    assert curve[-1] == (99.99, 10_000.0)


def test_of_the_clicks_that_come_later_the_log_tells_which_reached_django(tmp_path):
    def line(at, status, pool="", location="click"):
        return json.dumps(
            {"location": location, "ended": at + 0.5, "seconds": 0.5, "status": status, "pool": pool}
        )

    log = tmp_path / "gateway.log"
    log.write_text(
        "\n".join(
            [
                line(10.0, 202, "127.0.0.1:1"),
                line(10.1, 409, "127.0.0.1:1"),  # the first "line full", heard at 10.6
                line(11.5, 409, "127.0.0.1:1"),  # within the second that follows
                line(11.7, 409),
                line(11.8, 409, "clicks"),  # had no place at first
                line(11.9, 409, "clicks : 127.0.0.1:1"),
                line(12.0, 200, "127.0.0.1:1", location="page"),
            ]
        )
    )

    assert read_reached(log) == Reached(clicks=3, django=1)


def test_where_the_line_was_never_full_nothing_is_claimed_of_later_clicks(tmp_path):
    (tmp_path / "gateway.log").write_text(
        json.dumps({"location": "click", "ended": 1.0, "seconds": 0, "status": 202, "pool": "127.0.0.1:1"})
    )

    reached = read_reached(tmp_path / "gateway.log")

    assert [bar.holds for bar in judge(observed([buyer()], reached=reached)).bars[-1:]] == [None]


def test_who_comes_when_the_storm_is_over_does_not_make_its_times_better():
    late = buyer(intended=5.0, clicked=5.0, first=5.0, truthful=5.0)

    assert judge(observed([buyer(), *[late] * 200])).figures["truthful_s"]["p50"] == 0.5
