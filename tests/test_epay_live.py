"""What EPay v1, v2 and Alipay close, refund and list: the drivers against the sandbox, over real HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import httpx
import pytest

from cardshop.common.clock import db_now
from payments.gateways import gateway_for
from payments.gateways.alipay import BEIJING
from payments.gateways.base import (
    Ability,
    Evidence,
    Gateway,
    GatewayError,
    GatewayRefused,
    PayRequest,
    RawCall,
    RefundEvidence,
    RefundRequest,
    RefundState,
    Trade,
)
from payments.models import PaymentChannel
from sandbox.tests.actors import RunningSandbox, free_port, wait_until
from tests.live_channels import APP_ID, LIVE, bring, make_live, sandbox_environment

pytestmark = pytest.mark.django_db
SIGNED = ("epay_v2", "alipay_qr")  # by a number of ours a refund is one, and can be asked about
_numbers = count(1)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"), port=free_port(), **sandbox_environment())
    yield running
    running.kill()


@dataclass
class Desk:
    """A channel's driver, and the sandbox behind it."""

    channel: PaymentChannel
    sandbox: RunningSandbox

    @property
    def gateway(self) -> Gateway:
        return gateway_for(self.channel)

    def open(self) -> tuple[Trade, str]:
        """A trade of 9.90, and where the buyer pays it."""
        now = db_now()
        wanted = PayRequest(
            out_trade_no=f"L{next(_numbers)}{now:%H%M%S%f}",
            amount_minor=990,
            currency="CNY",
            subject="ZYVAWG7TCHF",
            notify_url="http://127.0.0.1:9/notify",
            return_url="http://127.0.0.1:9/return",
            client_ip="127.0.0.1",
            on_phone=False,
            started_at=now,
            expires_at=now + timedelta(minutes=15),
        )
        page = self.gateway.create(wanted)
        place = page.url or page.qr
        if "/pay/" not in place:
            place = bring(place)
        return Trade(out_trade_no=wanted.out_trade_no), place.removeprefix(self.sandbox.base_url)

    def paid(self) -> Trade:
        trade, place = self.open()
        number = place.rpartition("/")[2]
        assert self.sandbox.pay(number).json()["captured"]
        return replace(trade, provider_txn_id=number)

    def refund(self, trade: Trade, amount_minor: int) -> RefundRequest:
        return RefundRequest(
            out_refund_no=f"R{next(_numbers):031d}",
            trade=trade,
            paid_minor=990,
            amount_minor=amount_minor,
            currency="CNY",
            reason="sold out",
            requested_at=db_now(),
        )

    def given_back(self, trade: Trade) -> int:
        booked = self.sandbox.booked(trade.provider_txn_id)
        return int(str(booked["refunded_fen"]))


@pytest.fixture
def desk(request: pytest.FixtureRequest, sandbox: RunningSandbox) -> Desk:
    sandbox.http.post("/_sandbox/reset")
    sandbox.turn(notice_drop=-1)  # nobody listens
    return Desk(make_live(request.param, sandbox), sandbox)


def these(*drivers: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("desk", drivers or ("epay_v1", "epay_v2", "alipay_qr"), indirect=True)


@these()
def test_a_part_and_then_the_rest_is_given_back(desk: Desk):
    trade = desk.paid()

    assert desk.gateway.refund(desk.refund(trade, 90)) is RefundState.DONE
    assert desk.given_back(trade) == 90
    assert desk.gateway.refund(desk.refund(trade, 900)) is RefundState.DONE
    assert desk.given_back(trade) == 990
    with pytest.raises(GatewayRefused):
        desk.gateway.refund(desk.refund(trade, 1))


@these(*SIGNED)
def test_what_is_refunded_did_come_in_all_the_same(desk: Desk):
    trade = desk.paid()
    desk.gateway.refund(desk.refund(trade, 990))

    assert desk.gateway.query(trade).paid


@these()
def test_more_than_was_paid_is_refused(desk: Desk):
    trade = desk.paid()

    with pytest.raises(GatewayRefused):
        desk.gateway.refund(desk.refund(trade, 991))
    assert desk.given_back(trade) == 0


@these(*SIGNED)
def test_twice_under_one_number_is_one_refund(desk: Desk):
    trade = desk.paid()
    refund = desk.refund(trade, 90)

    states = [desk.gateway.refund(refund), desk.gateway.refund(refund), desk.gateway.ask_refund(refund)]

    # Alipay says of the second that no money moved, and so it has to be asked.
    assert states[0] is states[2] is RefundState.DONE
    assert states[1] in (RefundState.DONE, RefundState.UNDER_WAY)
    assert desk.given_back(trade) == 90


@these(*SIGNED)
@pytest.mark.parametrize(("knob", "found"), [("api_lost", RefundState.DONE), ("api_error", None)])
def test_of_a_refund_whose_answer_was_lost_one_asks(desk: Desk, knob: str, found: RefundState | None):
    trade = desk.paid()
    refund = desk.refund(trade, 90)
    desk.sandbox.turn(**{knob: 1})
    with pytest.raises(GatewayError):
        desk.gateway.refund(refund)

    assert desk.gateway.ask_refund(refund) is found
    desk.gateway.refund(refund)
    assert desk.given_back(trade) == 90


@these(*SIGNED)
def test_an_unsigned_yes_to_a_refund_is_none(desk: Desk):
    trade = desk.paid()
    refund = desk.refund(trade, 90)
    desk.sandbox.turn(answer_corrupt=1)

    with pytest.raises(GatewayError):
        desk.gateway.refund(refund)
    assert desk.gateway.ask_refund(refund) is RefundState.DONE


@these("epay_v1")
def test_without_a_number_a_lost_answer_is_nobodys_guess_and_twice_is_two(desk: Desk):
    assert desk.gateway.can & {Ability.REPEAT_REFUND, Ability.ASK_REFUND, Ability.CLOSE} == set()
    trade = desk.paid()
    desk.sandbox.turn(api_lost=1)
    with pytest.raises(GatewayError):
        desk.gateway.refund(desk.refund(trade, 90))
    assert desk.given_back(trade) == 90

    desk.gateway.refund(desk.refund(trade, 90))

    assert desk.given_back(trade) == 180


@these("epay_v2")
def test_a_closed_trade_takes_no_money(desk: Desk):
    trade, place = desk.open()

    assert desk.gateway.close(trade)
    assert desk.gateway.close(trade)
    assert not desk.sandbox.pay(place.rpartition("/")[2]).json()["captured"]
    assert not desk.gateway.query(trade).paid


@these("alipay_qr", "alipay_page")
def test_what_nobody_has_scanned_cannot_be_closed_and_what_somebody_has_can(desk: Desk):
    trade, place = desk.open()
    assert desk.gateway.query(trade) is None
    assert not desk.gateway.close(trade)

    desk.sandbox.http.get(place)

    assert not desk.gateway.query(trade).paid
    assert desk.gateway.close(trade)
    assert desk.gateway.close(trade), "closed before, as when the first answer was lost"
    assert not desk.sandbox.pay(place.rpartition("/")[2]).json()["captured"]


@these(*SIGNED)
@pytest.mark.parametrize("refunded", [0, 990])
def test_what_is_paid_is_not_closed(desk: Desk, refunded: int):
    trade = desk.paid()
    if refunded:
        desk.gateway.refund(desk.refund(trade, refunded))

    with pytest.raises(GatewayRefused):
        desk.gateway.close(trade)


@these("epay_v2")
def test_a_provider_behind_the_platform_that_closes_nothing_promises_nothing(desk: Desk):
    desk.channel.method = "qqpay"
    trade, place = desk.open()

    assert not desk.gateway.close(trade)
    assert desk.sandbox.pay(place.rpartition("/")[2]).json()["captured"]


@these("epay_v1", "epay_v2")
def test_the_list_of_trades_is_the_platforms_ledger(desk: Desk):
    desk.gateway.refund(desk.refund(desk.paid(), 90))
    desk.open()

    listed = [
        (said.provider_txn_id, said.out_trade_no, said.amount_minor, said.paid)
        for said in desk.gateway.trades()
    ]

    booked = [
        (row["trade_no"], row["out_trade_no"], row["money_fen"], row["status"] in (1, 2))
        for row in reversed(desk.sandbox.http.get("/_sandbox/ledger").json())
        if row["pid"] == desk.channel.merchant_id
    ]
    assert len(listed) >= 2
    assert listed == booked


@these("alipay_qr")
def test_the_bill_of_a_day_is_the_platforms_ledger_of_that_day(desk: Desk):
    refund = desk.refund(desk.paid(), 90)
    desk.gateway.refund(refund)
    desk.open()
    today = datetime.now(BEIJING).date()

    rows = list(desk.gateway.statement(today))

    trades = [row for row in desk.sandbox.http.get("/_sandbox/ledger").json() if row["pid"] == APP_ID]
    mine = {row["trade_no"] for row in trades}
    refunds = [row for row in desk.sandbox.http.get("/_sandbox/refunds").json() if row["trade_no"] in mine]
    assert {
        (row.provider_txn_id, row.out_trade_no, row.amount_minor) for row in rows if isinstance(row, Evidence)
    } == {(row["trade_no"], row["out_trade_no"], row["money_fen"]) for row in trades if row["paid_at"]}
    assert {
        (row.out_refund_no, row.provider_txn_id, row.amount_minor)
        for row in rows
        if isinstance(row, RefundEvidence)
    } == {(row["out_refund_no"], row["trade_no"], row["money_fen"]) for row in refunds}
    assert refund.out_refund_no in {getattr(row, "out_refund_no", "") for row in rows}
    assert list(desk.gateway.statement(today - timedelta(days=30))) == []


@these("alipay_page")
@pytest.mark.parametrize(("amount_minor", "paid"), [(90, True), (990, False)])
def test_the_notice_of_a_refund_is_of_the_same_money_or_of_none(desk: Desk, amount_minor: int, paid: bool):
    trade = desk.paid()

    desk.gateway.refund(desk.refund(trade, amount_minor))

    wait_until(lambda: desk.sandbox.outcomes(trade.provider_txn_id).count("dropped") == 2)
    # What the buyer would bring back is what the notice says.
    back = desk.sandbox.pay(trade.provider_txn_id).json()["return_url"]
    said = desk.gateway.read_notice(RawCall("POST", "", back.partition("?")[2]), at=db_now()).evidence
    assert "refund_fee" in back
    assert (said.paid, said.amount_minor, said.provider_txn_id) == (paid, 990, trade.provider_txn_id)


@these("epay_v1")
def test_where_there_is_no_mapi_the_buyers_browser_brings_the_order(desk: Desk):
    desk.channel.options = {"entry": "submit.php"}
    desk.channel.seal_secret(LIVE["epay_v1"].secrets["secret"])

    trade = desk.paid()

    assert desk.gateway.query(trade).amount_minor == 990


@these("alipay_qr")
def test_an_address_of_a_bill_that_the_platform_has_not_signed_leads_nowhere(desk: Desk):
    asked = {"app_id": APP_ID, "day": "2026-03-01", "until": "9999999999", "sign": "eA=="}

    assert httpx.get(f"{desk.sandbox.base_url}/alipay/bill", params=asked).status_code == 403
