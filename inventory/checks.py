"""Invariant 5, as far as inventory can see it: the counters agree with the rows."""

from cardshop.common.invariants import Check

CHECKS = [
    Check(
        "inventory.total_counts_keys",
        """SELECT 'variant ' || variant_id || ': total ' || sum(total) || ', short ' || sum(short)
                  || ', keys ' || max(keys)
           FROM inventory_stock JOIN LATERAL (
               SELECT count(*) AS keys FROM inventory_cardkey AS card_key
               WHERE card_key.variant_id = inventory_stock.variant_id AND status <> 'void'
           ) AS counted ON true
           WHERE total IS NOT NULL GROUP BY variant_id HAVING sum(total) - sum(short) <> max(keys)""",
    ),
    Check(
        "inventory.keys_have_stock",
        """SELECT 'variant ' || variant_id || ' has keys but no stock' FROM inventory_cardkey
           WHERE variant_id NOT IN (SELECT variant_id FROM inventory_stock) GROUP BY variant_id""",
    ),
    Check(
        "inventory.batches_count_their_keys",
        """SELECT 'batch ' || batch.id || ': ' || imported || ' imported, '
                  || (SELECT count(*) FROM inventory_cardkey WHERE batch_id = batch.id) || ' found'
           FROM inventory_keybatch AS batch
           WHERE imported <> (SELECT count(*) FROM inventory_cardkey WHERE batch_id = batch.id)""",
    ),
]
