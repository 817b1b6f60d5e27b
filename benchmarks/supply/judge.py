"""What must be true of two shops afterwards, whatever has died."""

import json
from collections import Counter

from benchmarks.soak.stack import Stack
from benchmarks.supply.pair import Pair

ASKED_FOR = """
    SELECT "order".token, row.reference, row.status, row.cost_minor, supplier.name
    FROM suppliers_supplierorder AS row JOIN suppliers_supplier AS supplier ON supplier.id = row.supplier_id
    JOIN orders_orderitem AS item ON item.id = row.item_id
    JOIN orders_order AS "order" ON "order".id = item.order_id WHERE supplier.name = 'Partner'"""
PAID_THERE = """
    SELECT -coalesce(sum(entry.amount_minor), 0) FROM payments_balanceentry AS entry
    JOIN resellers_reseller AS reseller ON reseller.balance_id = entry.balance_id
    WHERE reseller.name = 'Partner' AND entry.kind IN ('payment', 'refund')"""


def wrongs(pair: Pair, served: list[str], refused: list[str]) -> list[str]:
    """A sentence for everything that a buyer, or one of the merchants, could complain of."""
    asked = {token: row for token, *row in pair.here.query(ASKED_FOR)}
    there: dict[str, list[list[str]]] = {}
    for account, reference, keys in pair.bought():
        if account == "Partner":
            there.setdefault(reference, []).append(keys)
    found = [f"order {token} was never noted" for token in {*served, *refused} - asked.keys()]
    seen: Counter[str] = Counter()
    for token, (reference, status, _cost, _name) in asked.items():
        page = pair.buyer.page(token)
        keys = [key for key in pair.keys if key in page]
        seen.update(keys)
        bought = there.pop(reference, [])
        if token in refused:
            if (status, keys, bought) != ("failed", [], []):
                found.append(f"{reference} was refused: it is {status}, {len(bought)} orders there")
        elif len(bought) != 1:
            found.append(f"{reference} was bought {len(bought)} times")
        elif status != "filled" or len(keys) != 1 or keys != bought[0]:
            found.append(f"{reference} is {status}, its page has {len(keys)} keys")
    found += [f"a key is on {times} pages" for times in seen.values() if times > 1]
    found += [f"nobody here has ordered {reference}" for reference in there]
    return found + _wrong_books(pair)


def _wrong_books(pair: Pair) -> list[str]:
    found = []
    by_ours = sum(cost or 0 for _token, _reference, _status, cost, _name in pair.here.query(ASKED_FOR))
    ((by_theirs,),) = pair.there.query(PAID_THERE)
    if by_ours != by_theirs:
        found.append(f"{by_ours} spent by our books, {by_theirs} by theirs")
    told = compared(pair)
    if not told["Partner"].startswith("ok"):
        found.append(told["Partner"])
    return found + _verified(pair.here) + _verified(pair.there)


def compared(pair: Pair) -> dict[str, str]:
    """What `reconcile_suppliers` says of each."""
    told: dict[str, str] = {}
    name = ""
    for line in pair.here.shop.manage("reconcile_suppliers").stdout.splitlines():
        if not line.startswith(" "):
            name = line.rpartition(" ")[2]
        told[name] = f"{told.get(name, '')}{line}\n"
    return told


def _verified(stack: Stack) -> list[str]:
    done = stack.shop.manage("verify", "--settled", "--json")
    checks: dict[str, list[str]] = json.loads(done.stdout)
    return [f"{name}: {finding}" for name, findings in checks.items() for finding in findings]
