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
           WHERE variant_id IN (SELECT id FROM inventory_variant WHERE fulfilment = 'card_key')
             -- Once something else was sold of it, its total is no longer its keys: orders count on.
             AND NOT EXISTS (
                 SELECT FROM inventory_keybatch AS batch
                 WHERE batch.variant_id = inventory_stock.variant_id AND origin <> 'imported')
           GROUP BY variant_id HAVING sum(total) - sum(short) <> max(keys)""",
    ),
    Check(
        "inventory.nothing_is_set_aside_while_keys_are_short",
        """SELECT 'variant ' || variant_id || ': ' || own.total - own.claimed || ' free in ' || own.pool
                  || ', short of ' || public.short
           FROM inventory_stock AS own JOIN inventory_stock AS public USING (variant_id)
           WHERE public.pool = 'public' AND public.short > 0
             AND own.pool <> 'public' AND own.total > own.claimed""",
    ),
    Check(
        "inventory.only_goods_without_keys_are_unlimited",
        """SELECT 'variant ' || variant_id || ': total ' || coalesce(total::text, 'unlimited')
                  || ', open ' || coalesce(released::text, 'unlimited')
           FROM inventory_stock JOIN inventory_variant AS variant ON variant.id = variant_id
           WHERE (total IS NULL) <> (released IS NULL) OR total IS NULL AND fulfilment = 'card_key'""",
    ),
    Check(
        "inventory.reusable_goods_have_their_text",
        """SELECT 'variant ' || variant_id || ' is for sale and has no text for its buyers'
           FROM inventory_stock JOIN inventory_variant AS variant ON variant.id = variant_id
           WHERE fulfilment = 'reusable' AND (released IS NULL OR released > claimed) AND NOT EXISTS (
               SELECT FROM inventory_cardkey AS card_key WHERE card_key.variant_id = variant.id
                 AND is_reusable AND status = 'available')""",
    ),
    Check(
        "inventory.keys_have_stock",
        """SELECT 'variant ' || variant_id || ' has keys but no stock' FROM inventory_cardkey
           WHERE variant_id NOT IN (SELECT variant_id FROM inventory_stock) GROUP BY variant_id""",
    ),
    Check(
        "inventory.whoever_saw_keys_is_noted",
        """SELECT 'request ' || request.id || ' by ' || asked_by || ' was used, and nothing is noted of it'
           FROM inventory_keyrequest AS request WHERE status = 'used' AND NOT EXISTS (
               SELECT FROM inventory_keyaccess AS access WHERE access.batch_id = request.batch_id
                 AND access.who = request.asked_by AND access.kind = request.kind
                 AND access.card_key_id IS NOT DISTINCT FROM request.card_key_id
                 AND access.at >= request.decided_at)""",
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
