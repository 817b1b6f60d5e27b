"""Invariants 1, 5, 6, 8, 10 and 11, as far as orders can see them; and that the line is a line."""

from cardshop.common.invariants import Check

CHECKS = [
    Check(
        "orders.delivered_as_ordered",
        """SELECT 'item ' || item.id || ': ' || quantity || ' ordered, '
                  || count(delivered.id) || ' delivered'
           FROM orders_orderitem AS item LEFT JOIN orders_deliveredkey AS delivered
             ON delivered.item_id = item.id AND delivered.replaced_by_id IS NULL
           GROUP BY item.id
           HAVING CASE WHEN item.status = 'delivered' THEN count(delivered.id) <> quantity
               -- Filled in by hand, perhaps in part.
               WHEN due_at IS NOT NULL THEN count(delivered.id) > quantity
                   OR item.status = 'open' AND count(delivered.id) = quantity
               WHEN item.status = 'open' THEN count(delivered.id) <> 0
               ELSE count(delivered.id) NOT IN (0, quantity) END""",
    ),
    Check(
        "orders.sold_keys_are_delivered",
        """SELECT 'card key ' || card_key.id || ' is ' || card_key.status
                  || ' and was handed over ' || count(delivered.id) || ' times'
           FROM inventory_cardkey AS card_key LEFT JOIN orders_deliveredkey AS delivered
             ON delivered.card_key_id = card_key.id AND delivered.replaced_by_id IS NULL
           WHERE NOT card_key.is_reusable GROUP BY card_key.id
           HAVING count(delivered.id) <> CASE WHEN card_key.status = 'sold' THEN 1 ELSE 0 END""",
    ),
    Check(
        "orders.only_reusable_keys_are_reused",
        """SELECT 'delivered key ' || delivered.id || ' is ' || delivered.is_reusable
                  || ' for every buyer, card key ' || card_key.id || ' is ' || card_key.is_reusable
           FROM orders_deliveredkey AS delivered
           JOIN inventory_cardkey AS card_key ON card_key.id = delivered.card_key_id
           WHERE delivered.is_reusable <> card_key.is_reusable""",
    ),
    Check(
        "orders.free_keys_are_counted",
        # Of variants that have sold something else before: what is not promised to anybody is there as keys.
        """SELECT 'variant ' || variant_id || ': ' || free || ' free or promised, ' || keys || ' keys free'
           FROM (
               SELECT stock.variant_id, sum(total - claimed - short + (
                   SELECT coalesce(sum(reservation.quantity), 0) FROM orders_reservation AS reservation
                   WHERE reservation.stock_id = stock.id AND (status = 'held' OR status = 'sold'
                       AND NOT EXISTS (SELECT FROM orders_deliveredkey WHERE item_id = reservation.item_id))
               )) AS free FROM inventory_stock AS stock
               JOIN inventory_variant AS variant ON variant.id = stock.variant_id
               WHERE fulfilment = 'card_key' AND EXISTS (
                   SELECT FROM inventory_keybatch AS batch
                   WHERE batch.variant_id = stock.variant_id AND origin <> 'imported')
               GROUP BY stock.variant_id
           ) AS counted JOIN LATERAL (
               SELECT count(*) AS keys FROM inventory_cardkey AS card_key
               WHERE card_key.variant_id = counted.variant_id AND status = 'available' AND NOT is_reusable
           ) AS there ON true WHERE free <> keys""",
    ),
    Check(
        "orders.open_lines_are_of_their_variants_kind",
        """SELECT 'item ' || item.id || ' is to be filled in by hand, and its variant is ' || fulfilment
           FROM orders_orderitem AS item JOIN inventory_variant AS variant ON variant.id = item.variant_id
           WHERE item.status = 'open' AND due_at IS NOT NULL AND fulfilment <> 'manual'""",
    ),
    Check(
        "orders.keys_of_the_right_variant",
        """SELECT 'item ' || item.id || ' got card key ' || card_key.id || ' of another variant'
           FROM orders_deliveredkey AS delivered
           JOIN orders_orderitem AS item ON item.id = delivered.item_id
           JOIN inventory_cardkey AS card_key ON card_key.id = delivered.card_key_id
           WHERE card_key.variant_id <> item.variant_id""",
    ),
    Check(
        "orders.states_agree",
        """SELECT 'order ' || number || ' is ' || "order".status
                  || ', item ' || item.id || ' is ' || item.status
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           WHERE item.status <> ALL (CASE
               WHEN "order".status IN ('delivered', 'completed') THEN '{delivered,refunding,refunded}'::text[]
               WHEN "order".status = 'paid' THEN '{open,delivered,refunding,refunded}'
               WHEN "order".status = 'refunded' THEN '{refunded}' ELSE '{open}' END)""",
    ),
    Check(
        "orders.what_is_all_refunded_is_refunded",
        """SELECT 'order ' || number || ' is ' || "order".status || ', and all its lines are refunded'
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           GROUP BY "order".id
           HAVING bool_and(item.status = 'refunded') AND "order".status <> 'refunded'""",
    ),
    Check(
        "orders.reservations_are_whole",
        """SELECT 'item ' || item.id || ': ' || item.quantity || ' ordered, ' || reservation.quantity
                  || ' reserved'
           FROM orders_reservation AS reservation JOIN orders_orderitem AS item
             ON item.id = reservation.item_id
           WHERE item.quantity <> reservation.quantity""",
    ),
    Check(
        "orders.claimed_counts_reservations",
        """SELECT 'stock ' || stock.id || ': claimed ' || stock.claimed
                  || ', reserved ' || coalesce(live.sum, 0)
           FROM inventory_stock AS stock LEFT JOIN (
               SELECT stock_id, sum(quantity) FROM orders_reservation WHERE status <> 'released'
               GROUP BY stock_id
           ) AS live ON live.stock_id = stock.id
           WHERE stock.claimed <> coalesce(live.sum, 0)""",
    ),
    Check(
        "orders.holds_are_the_unpaid_orders",
        """SELECT 'order ' || number || ' is ' || "order".status || ', its hold is '
                  || coalesce(reservation.status, 'gone')
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           LEFT JOIN orders_reservation AS reservation
             ON reservation.item_id = item.id AND reservation.status <> 'released'
           WHERE coalesce(reservation.status, 'gone') <> CASE
               WHEN "order".status IN ('pending', 'closing') THEN 'held'
               WHEN "order".status IN ('expired', 'cancelled') THEN 'gone'
               WHEN item.status = 'refunded' AND NOT EXISTS (
                   SELECT FROM orders_deliveredkey WHERE item_id = item.id) THEN 'gone' ELSE 'sold' END""",
    ),
    Check(
        "orders.every_change_has_its_event",
        """SELECT 'order ' || number || ' is ' || status || ', its history ends with '
                  || coalesce(last.after, 'nothing')
           FROM orders_order AS "order" LEFT JOIN LATERAL (
               SELECT after FROM orders_orderevent WHERE order_id = "order".id ORDER BY id DESC LIMIT 1
           ) AS last ON true WHERE last.after IS DISTINCT FROM status""",
    ),
    Check(
        "orders.history_is_unbroken",
        """SELECT 'order ' || order_id || ': ' || before || ' follows ' || previous FROM (
               SELECT order_id, before, lag(after) OVER (PARTITION BY order_id ORDER BY id) AS previous
               FROM orders_orderevent
           ) AS chain WHERE before <> coalesce(previous, '')""",
    ),
    Check(
        "orders.totals_add_up",
        """SELECT 'order ' || number || ': total ' || total_minor
                  || ', lines ' || sum(unit_price_minor * quantity)
           FROM orders_order AS "order" JOIN orders_orderitem AS item ON item.order_id = "order".id
           GROUP BY "order".id HAVING total_minor <> sum(unit_price_minor * quantity)""",
    ),
    Check(
        "orders.deadlines_are_kept",
        """SELECT 'order ' || number || ' is ' || status || ', reserved until ' || reserved_until
           FROM orders_order
           WHERE status IN ('pending', 'closing')
             AND reserved_until < clock_timestamp() - %(grace)s::interval""",
        needs_grace=True,
    ),
    Check(
        "orders.paid_orders_get_their_keys",
        """SELECT 'order ' || number || ' was paid and has no keys yet' FROM orders_order AS "order"
           WHERE status = 'paid' AND attention = '' AND (
               -- What a person fills in has until it is due.
               SELECT bool_or(item.status = 'open'
                       AND (due_at IS NULL OR due_at < clock_timestamp() - %(grace)s::interval))
                   OR NOT bool_or(item.status = 'refunding' OR item.status = 'open' AND due_at IS NOT NULL)
               FROM orders_orderitem AS item WHERE item.order_id = "order".id
           ) AND EXISTS (
               SELECT FROM orders_orderevent AS event WHERE event.order_id = "order".id
                 AND event.after = 'paid' AND event.at < clock_timestamp() - %(grace)s::interval)""",
        needs_grace=True,
    ),
    Check(
        "orders.tickets_became_their_orders",
        # A refused or left ticket may have one: the same page bought it when the line was taken away.
        """SELECT 'ticket ' || ticket.id || ' is ' || ticket.status || ', its order is '
                  || coalesce("order".status, 'not there')
           FROM orders_ticket AS ticket LEFT JOIN orders_order AS "order" USING (ticket_id)
           WHERE ticket.status = 'ordered' AND "order".id IS NULL
              OR ticket.status = 'waiting' AND "order".id IS NOT NULL""",
    ),
    Check(
        "orders.tickets_fit_their_orders",
        """SELECT 'ticket ' || ticket.id || ': ' || ticket.quantity || ' of variant ' || ticket.variant_id
                  || ' waited for, ' || item.quantity || ' of variant ' || item.variant_id || ' ordered'
           FROM orders_ticket AS ticket JOIN orders_order AS "order" USING (ticket_id)
           JOIN orders_orderitem AS item ON item.order_id = "order".id
           WHERE ticket.status = 'ordered'
             AND (item.quantity, item.variant_id, "order".buyer_key, "order".shop_id)
                 <> (ticket.quantity, ticket.variant_id, ticket.buyer_key, ticket.shop_id)""",
    ),
    Check(
        "orders.tickets_have_an_end",
        """SELECT 'ticket ' || id || ' is ' || status || ', ended at ' || coalesce(ended_at::text, 'no time')
           FROM orders_ticket WHERE (status = 'waiting') <> (ended_at IS NULL)""",
    ),
    Check(
        "orders.the_line_has_somebody_to_serve_it",
        """SELECT 'variant ' || variant_id || ': ' || count(*) || ' wait, and it has no sale'
           FROM orders_ticket AS ticket WHERE status = 'waiting'
             AND NOT EXISTS (SELECT FROM orders_sale WHERE variant_id = ticket.variant_id)
           GROUP BY variant_id""",
    ),
    Check(
        "orders.nobody_waits_in_vain",
        # What was withdrawn, keys or a wave, has no time: at the second look nobody waits for it any more.
        """SELECT 'ticket ' || ticket.id || ' waits for ' || ticket.quantity || ', and ' || within_reach
                  || ' can still come'
           FROM orders_sale AS sale
           JOIN inventory_stock AS stock ON stock.variant_id = sale.variant_id AND stock.pool = 'public'
           CROSS JOIN LATERAL (
               SELECT released - claimed + (
                   SELECT coalesce(sum(quantity), 0) FROM orders_reservation
                   WHERE stock_id = stock.id AND status = 'held'
               ) + least(total - released, (
                   SELECT coalesce(sum(quantity), 0) FROM orders_wave
                   WHERE sale_id = sale.id AND released_at IS NULL
               )) - short AS within_reach
           ) AS still
           JOIN orders_ticket AS ticket ON ticket.variant_id = sale.variant_id
             AND ticket.status = 'waiting' AND ticket.quantity > within_reach
           WHERE ticket.settled_at < clock_timestamp() - %(grace)s::interval AND NOT EXISTS (
               SELECT FROM orders_orderevent AS event
               JOIN orders_orderitem AS item ON item.order_id = event.order_id
               WHERE item.variant_id = sale.variant_id AND event.after = 'paid'
                 AND event.at > clock_timestamp() - %(grace)s::interval
           )""",
        needs_grace=True,
    ),
    Check(
        "orders.waves_are_released_once",
        """SELECT 'wave ' || id || ': ' || released || ' of ' || quantity || ' released'
           FROM orders_wave WHERE released > CASE WHEN released_at IS NULL THEN 0 ELSE quantity END""",
    ),
    Check(
        "orders.lines_have_their_terms",
        # Chosen in the admin, they are there at once; else the allocators make them within a second.
        """SELECT 'variant ' || id || ' is sold through a line and has no sale' FROM inventory_variant
           WHERE selling = 'queued' AND id NOT IN (SELECT variant_id FROM orders_sale)""",
        needs_grace=True,
    ),
    Check(
        "orders.the_registered_are_let_in",
        """SELECT 'registration ' || registration.id || ' has no ticket and no order'
           FROM orders_registration AS registration JOIN orders_sale AS sale ON sale.id = sale_id
           WHERE NOT is_paused
             AND coalesce(opens_at, registered_at) < clock_timestamp() - %(grace)s::interval
             AND NOT EXISTS (SELECT FROM orders_ticket WHERE ticket_id = registration.ticket_id)
             AND NOT EXISTS (SELECT FROM orders_order WHERE ticket_id = registration.ticket_id)""",
        needs_grace=True,
    ),
    Check(
        "orders.the_line_is_served",
        # Whatever frees units has a time; going on after a pause has none, and is over at the second look.
        """SELECT 'variant ' || variant.id || ': ' || coalesce(free::text, 'any number')
                  || ' free, and ticket ' || head.id || ' waits for ' || head.quantity
           FROM orders_sale AS sale
           JOIN inventory_variant AS variant ON variant.id = sale.variant_id AND variant.is_active
           JOIN inventory_product AS product ON product.id = variant.product_id AND product.is_listed
           JOIN shops_shop AS shop ON shop.id = variant.shop_id AND shop.is_open
           JOIN (
               SELECT variant_id, released - claimed AS free FROM inventory_stock WHERE pool = 'public'
           ) AS stock ON stock.variant_id = variant.id
           JOIN LATERAL (
               SELECT id, quantity FROM (
                   SELECT id, quantity, settled_at FROM orders_ticket
                   WHERE variant_id = variant.id AND status = 'waiting' ORDER BY place LIMIT 500
               ) AS first WHERE quantity <= free OR free IS NULL
               ORDER BY settled_at LIMIT 1
           ) AS head ON true
           WHERE NOT sale.is_paused AND NOT EXISTS (
               SELECT FROM orders_orderevent AS event
               JOIN orders_orderitem AS item ON item.order_id = event.order_id
               WHERE item.variant_id = variant.id AND event.after IN ('expired', 'cancelled')
                 AND event.at > clock_timestamp() - %(grace)s::interval
           ) AND NOT EXISTS (
               SELECT FROM orders_wave WHERE sale_id = sale.id
                 AND released_at > clock_timestamp() - %(grace)s::interval
           ) AND NOT EXISTS (
               SELECT FROM inventory_keybatch WHERE variant_id = variant.id
                 AND imported_at > clock_timestamp() - %(grace)s::interval
           ) AND NOT EXISTS (
               SELECT FROM orders_ticket WHERE id = head.id
                 AND settled_at > clock_timestamp() - %(grace)s::interval
           )""",
        needs_grace=True,
    ),
]
