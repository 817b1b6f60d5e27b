"""What may die between two shops, and when. Each step is one purchase; it returns the order's token."""

from collections.abc import Callable

from benchmarks.supply.between import Moment
from benchmarks.supply.pair import Pair

ORDERS = r"/orders/$"
KEYS = r"/orders/[^/]+/keys/$"
Kill = Callable[[Pair], None]
Step = Callable[[Pair, Kill], str]


def take(pair: Pair, step: Step, kill: Kill) -> str:
    """One after the other: until all are back, and the buyer has the key."""
    pair.be_ready()
    token = step(pair, kill)
    pair.be_ready()
    pair.wait_until(token, status="delivered")
    return token


def before_the_order_arrives(pair: Pair, kill: Kill) -> str:
    with pair.between.holding("POST", ORDERS, Moment.ASKED) as call:
        token = pair.buyer.buy("goods")
        call.wait()
        kill(pair)
        call.pass_on()
    return token


def in_the_middle_of_the_order(pair: Pair, kill: Kill) -> str:
    with pair.between.holding("POST", ORDERS, Moment.ASKED) as call:
        token = pair.buyer.buy("goods")
        call.wait()
        with pair.locked(pair.there, "payments_balance"):
            call.pass_on()
            pair.wait_for_somebody_at(pair.there)
            kill(pair)
    return token


def when_the_answer_begins(pair: Pair, kill: Kill) -> str:
    """It is bought there, and nobody here knows."""
    with pair.between.holding("POST", ORDERS, Moment.ANSWERED) as call:
        token = pair.buyer.buy("goods")
        call.wait()
        kill(pair)
        call.cut()
    return token


def while_it_is_polled_and_when_the_keys_are_read(pair: Pair, kill: Kill) -> str:
    """Somebody fills it in there, in between."""
    with pair.between.holding("GET", KEYS, Moment.ASKED) as call:
        token = pair.buyer.buy("goods-slow")
        call.wait(meanwhile=pair.hurry)
        kill(pair)
        call.pass_on()
    pair.be_ready()
    typed = pair.fill_in_there()
    with pair.between.holding("GET", KEYS, Moment.ANSWERED) as call:
        call.wait(meanwhile=pair.hurry)
        kill(pair)
        call.cut()
    assert typed not in pair.buyer.page(token)
    return token


def without_its_database(pair: Pair, _kill: Kill) -> str:
    with pair.between.holding("POST", ORDERS, Moment.ASKED) as call:
        token = pair.buyer.buy("goods")
        call.wait()
        with pair.no_database_there(), pair.between.holding("POST", ORDERS, Moment.ANSWERED) as answer:
            call.pass_on()
            answer.wait()
    return token


def before_we_write_down_that_it_was_bought(pair: Pair, _kill: Kill) -> str:
    return _our_worker_dies_at(pair, "suppliers_supplierorder", leaves="to_send")


def before_we_hand_the_keys_on(pair: Pair, _kill: Kill) -> str:
    return _our_worker_dies_at(pair, "orders_order", leaves="asked")


def _our_worker_dies_at(pair: Pair, table: str, *, leaves: str) -> str:
    with pair.between.holding("POST", ORDERS, Moment.ANSWERED) as call:
        token = pair.buyer.buy("goods")
        call.wait()
        with pair.locked(pair.here, table):
            call.pass_on()
            pair.wait_for_somebody_at(pair.here)
            pair.kill_who_asks()
    assert pair.status_of_asking(token) == leaves
    return token


def with_another_key_for_every_try(pair: Pair, _kill: Kill) -> str:
    """A control: what its one Idempotency-Key is good for."""
    with pair.between.holding("POST", ORDERS, Moment.ANSWERED) as call:
        token = pair.buyer.buy("goods-forgotten")
        call.wait()
        pair.here.query(
            """UPDATE suppliers_supplierorder AS row SET idempotency_key = 'another-key-' || row.id
               FROM suppliers_supplier AS supplier
               WHERE supplier.id = row.supplier_id AND supplier.name = 'Forgetful'"""
        )
        call.cut()
    return token


THERE: list[Step] = [
    before_the_order_arrives,
    in_the_middle_of_the_order,
    when_the_answer_begins,
    while_it_is_polled_and_when_the_keys_are_read,
]
OTHERS: list[Step] = [
    without_its_database,
    before_we_write_down_that_it_was_bought,
    before_we_hand_the_keys_on,
]
