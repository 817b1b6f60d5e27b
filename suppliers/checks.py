"""What is bought from suppliers is handed on, or its money goes back; and it moves on."""

from cardshop.common.invariants import Check

CHECKS = [
    Check(
        "suppliers.handed_on_is_delivered",
        """SELECT 'order at a supplier ' || reference || ' is ' || row.status || ', its line ' || item.status
           FROM suppliers_supplierorder AS row JOIN orders_orderitem AS item ON item.id = row.item_id
           WHERE row.status = 'filled' AND item.status = 'open'""",
    ),
    Check(
        "suppliers.paid_once",
        """SELECT 'order ' || their_number || ' of supplier ' || supplier_id || ' was paid '
                  || count(*) || ' times'
           FROM suppliers_supplierentry WHERE kind = 'payment'
           GROUP BY supplier_id, their_number HAVING count(*) > 1""",
    ),
    Check(
        "suppliers.what_is_not_to_be_had_is_refunded",
        """SELECT 'order at a supplier ' || reference || ' failed, and its line is open'
           FROM suppliers_supplierorder AS row JOIN orders_orderitem AS item ON item.id = row.item_id
           JOIN orders_order AS "order" ON "order".id = item.order_id
           WHERE row.status = 'failed' AND item.status = 'open' AND attention = ''
             AND row.ended_at < clock_timestamp() - %(grace)s::interval
             AND NOT EXISTS (SELECT FROM payments_refund WHERE item_id = item.id)""",
        needs_grace=True,
    ),
    Check(
        "suppliers.orders_move_on",
        """SELECT 'order at a supplier ' || reference || ' is ' || status || ', due since ' || next_at
           FROM suppliers_supplierorder WHERE next_at < clock_timestamp() - %(grace)s::interval
              OR next_at IS NULL AND ended_at IS NULL""",
        needs_grace=True,
    ),
]
