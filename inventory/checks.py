"""Invariants 5, 9 and 10, as far as inventory can see them: the counters agree with the rows, no upload
stays behind, and what was begun with a batch goes on."""

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
        """SELECT 'batch ' || batch.id || ': ' || imported - undone || ' imported and not taken back, '
                  || (SELECT count(*) FROM inventory_cardkey WHERE batch_id = batch.id) || ' found'
           FROM inventory_keybatch AS batch
           WHERE imported - undone <> (SELECT count(*) FROM inventory_cardkey WHERE batch_id = batch.id)""",
    ),
    Check(
        "inventory.uploads_are_read_and_gone",
        """SELECT 'upload ' || upload.id || ' of a batch that is ' || coalesce(batch.state, 'none')
           FROM inventory_keyupload AS upload LEFT JOIN inventory_keybatch AS batch ON batch.id = batch_id
           WHERE batch.state NOT IN ('queued', 'running')
              OR batch.id IS NULL AND upload.created_at < clock_timestamp() - interval '1 day'""",
    ),
    Check(
        "inventory.imports_go_on",
        """SELECT 'batch ' || batch.id || ' is ' || state || ', and nobody has promised to go on'
           FROM inventory_keybatch AS batch
           WHERE state IN ('queued', 'running', 'undoing') AND NOT EXISTS (
               SELECT FROM outbox_outboxmessage WHERE subject_id = batch.id AND done_at IS NULL
               AND task = CASE state WHEN 'undoing' THEN 'inventory.undo_imports'
                                     ELSE 'inventory.import_keys' END
           )""",
    ),
]
