-- variants on sale
/* The first rank sells best; the last are the second shop's, which so makes a tenth of the orders. */
CREATE UNLOGGED TABLE scale_variant AS
SELECT row_number() OVER (PARTITION BY fulfilment ORDER BY variant.id)
           * CASE fulfilment WHEN 'manual' THEN -1 ELSE 1 END AS rank,
       variant.id AS variant_id, variant.shop_id, stock.id AS stock_id, price_minor AS price,
       product.name AS product_name, variant.name AS variant_name,
       (SELECT array_agg(id ORDER BY id) FROM payments_paymentchannel AS channel
        WHERE channel.shop_id = variant.shop_id) AS channels
FROM inventory_variant AS variant JOIN inventory_stock AS stock ON stock.variant_id = variant.id
JOIN inventory_product AS product ON product.id = variant.product_id
WHERE selling = 'direct'

-- orders planned
CREATE UNLOGGED TABLE scale_order AS
WITH drawn AS MATERIALIZED (
    SELECT n, %(orders)s - n AS ago,
           now() - (%(orders)s - n) * interval '365 days' / %(orders)s AS placed_at,
           ('x' || substr(md5('luck' || n), 1, 7))::bit(28)::int / 268435456.0 AS luck,
           ('x' || substr(md5('taste' || n), 1, 7))::bit(28)::int / 268435456.0 AS taste
    FROM generate_series(1, %(orders)s) AS n
), stated AS MATERIALIZED (
    SELECT *, CASE
        WHEN ago < %(pending)s THEN 'pending' WHEN ago < %(closing)s THEN 'closing'
        WHEN ago < %(short)s THEN 'paid'
        WHEN luck < 0.74 THEN CASE WHEN ago < %(short)s + greatest(200, %(orders)s / 52)
            THEN 'delivered' ELSE 'completed' END
        WHEN luck < 0.77 THEN 'refunded' WHEN luck < 0.92 THEN 'expired' ELSE 'cancelled' END AS status,
        CASE WHEN ago >= %(paid)s AND ago < %(by_hand)s THEN -1
            ELSE 1 + floor(taste * taste * (SELECT max(rank) FROM scale_variant)) END AS rank
    FROM drawn
)
SELECT stated.*, variant_id, shop_id, stock_id, price, product_name, variant_name,
       channels[1 + n % array_length(channels, 1)] AS channel_id,
       status IN ('paid', 'delivered', 'completed', 'refunded') AS is_paid,
       status NOT IN ('expired', 'cancelled') OR n % 2 = 0 AS is_tried,
       rank > 0 AND status IN ('delivered', 'completed', 'refunded') AS is_delivered
FROM stated JOIN scale_variant USING (rank)

-- lines planned
/* Every tenth order has a second one. */
CREATE UNLOGGED TABLE scale_line AS
SELECT n AS id, n AS order_id, variant_id, stock_id, price, product_name, variant_name, status, is_paid,
       is_delivered, placed_at, rank < 0 AS by_hand, ago
FROM scale_order
UNION ALL
SELECT %(orders)s + n, n, variant_id, stock_id, price, product_name, variant_name, status, is_paid,
       is_delivered, placed_at, false, ago
FROM scale_order WHERE n % 10 = 3 AND rank > 0

-- keys planned
/* The keys of a variant came a hundred at a time. */
CREATE UNLOGGED TABLE scale_key AS
WITH needed AS (
    SELECT id AS line_id, variant_id FROM scale_line WHERE is_delivered
    UNION ALL
    SELECT NULL, (SELECT variant_id FROM scale_variant WHERE rank = 1 + m % (
        SELECT max(rank) FROM scale_variant))
    FROM generate_series(1, %(orders)s - (SELECT count(*) FROM scale_line WHERE is_delivered)) AS m
), placed AS (
    SELECT *, (row_number() OVER (PARTITION BY variant_id ORDER BY line_id) - 1) / 100 AS part FROM needed
)
SELECT row_number() OVER (ORDER BY part, variant_id, line_id) AS id, line_id, variant_id,
       dense_rank() OVER (ORDER BY part, variant_id) AS batch_id FROM placed;
CREATE INDEX ON scale_key (line_id);
ANALYZE scale_key, scale_line, scale_order

-- orders
INSERT INTO orders_order (id, shop_id, number, token, ticket_id, buyer_key, address_key, status,
    closing_to, closing_since, contact_email, language, currency, total_minor, placed_at,
    reserved_until, delivered_at, attention)
SELECT n, shop_id, translate(upper(substr(md5('no' || n), 1, 5) || lpad(to_hex(n), 6, '0')), '01', 'GH'),
    substr(md5('token' || n), 1, 22), md5('ticket' || n), md5('buyer' || person) || md5('key' || person),
    CASE WHEN n % 3 = 0 THEN md5('address' || person) ELSE '' END, status,
    CASE status WHEN 'closing' THEN 'expired' ELSE '' END,
    CASE status WHEN 'closing' THEN now() END,
    'buyer' || person || '@example.org', CASE WHEN n % 8 = 0 THEN 'en' ELSE 'zh-hans' END, 'CNY',
    price * CASE WHEN n % 10 = 3 AND rank > 0 THEN 2 ELSE 1 END, placed_at,
    CASE status WHEN 'pending' THEN now() + interval '1 day' ELSE placed_at + interval '15 minutes' END,
    CASE WHEN is_delivered THEN placed_at + interval '2 minutes' END,
    CASE WHEN ago >= %(by_hand)s AND ago < %(short)s THEN
        'paid, but there are fewer keys than the counter promised: import keys, then deliver'
    ELSE '' END
FROM (SELECT *, n % (%(orders)s * 7 / 10) AS person FROM scale_order) AS numbered

-- lines
INSERT INTO orders_orderitem (id, order_id, variant_id, product_name, product_name_en, variant_name,
    variant_name_en, unit_price_minor, quantity, status, fulfil_within_hours, due_at)
SELECT id, order_id, variant_id, product_name, '', variant_name, '', price, 1,
    CASE WHEN status = 'refunded' THEN 'refunded' WHEN is_delivered THEN 'delivered' ELSE 'open' END,
    CASE WHEN by_hand THEN 12 END, CASE WHEN by_hand THEN placed_at + interval '12 hours' END
FROM scale_line

-- holds
INSERT INTO orders_reservation (id, item_id, stock_id, quantity, status)
SELECT id, id, stock_id, 1, CASE WHEN status IN ('pending', 'closing') THEN 'held'
    WHEN status IN ('expired', 'cancelled', 'refunded') THEN 'released' ELSE 'sold' END
FROM scale_line

-- steps of orders
INSERT INTO orders_orderevent (order_id, before, after, reason, actor, at)
SELECT n, step.before, step.after, step.reason, step.actor, placed_at + step.later
FROM scale_order CROSS JOIN LATERAL (VALUES
    (true, '', 'pending', 'placed', 'buyer', interval '0'),
    (is_paid, 'pending', 'paid', 'money received', 'provider', interval '1 minute'),
    (is_delivered, 'paid', 'delivered', 'keys handed over', 'system', interval '2 minutes'),
    (status = 'completed', 'delivered', 'completed', 'no complaint', 'system', interval '7 days'),
    (status = 'refunded', 'delivered', 'refunded', 'refunded', 'boss', interval '1 day'),
    (status IN ('expired', 'cancelled', 'closing'), 'pending', 'closing', 'not paid in time', 'system',
     interval '15 minutes'),
    (status IN ('expired', 'cancelled'), 'closing', status, 'no money came', 'system',
     interval '16 minutes')
) AS step (happened, before, after, reason, actor, later)
WHERE step.happened ORDER BY placed_at + step.later

-- payments
INSERT INTO payments_payment (id, shop_id, order_id, amount_minor, currency, status, created_at,
    succeeded_at)
SELECT n, shop_id, n, price * CASE WHEN n % 10 = 3 AND rank > 0 THEN 2 ELSE 1 END, 'CNY',
    CASE WHEN is_paid THEN 'succeeded' WHEN status IN ('pending', 'closing') THEN 'open'
        ELSE 'cancelled' END,
    placed_at, CASE WHEN is_paid THEN placed_at + interval '1 minute' END
FROM scale_order WHERE is_tried

-- attempts
INSERT INTO payments_paymentattempt (id, payment_id, channel_id, out_trade_no, amount_minor, currency,
    status, pay_url, qr, app_url, reference, started_at, next_query_at, queries, last_error)
SELECT n, n, channel_id, 'T' || substr(md5('trade' || n), 1, 12) || lpad(to_hex(n), 8, '0'), price, 'CNY',
    CASE WHEN is_paid THEN 'succeeded' WHEN status IN ('pending', 'closing') THEN 'open'
        ELSE 'closed' END,
    'https://pay.example.org/' || n, '', '', '', placed_at,
    CASE WHEN status IN ('pending', 'closing') THEN now() + interval '1 day' END, 3, ''
FROM scale_order WHERE is_tried
UNION ALL
SELECT %(orders)s + n, n, channel_id, 'F' || substr(md5('trade' || n), 1, 12) || lpad(to_hex(n), 8, '0'),
    price, 'CNY', 'failed', '', '', '', '', placed_at, NULL, 0, 'ReadTimeout'
FROM scale_order WHERE is_tried AND n % 10 = 4

-- receipts
INSERT INTO payments_receipt (id, shop_id, channel_id, provider_txn_id, attempt_id, amount_minor,
    refunded_minor, currency, source, received_at, status, attention, resolved_at, resolved_by)
SELECT n, shop_id, channel_id, 'P' || substr(md5('receipt' || n), 1, 12) || lpad(to_hex(n), 8, '0'), n,
    price, CASE WHEN status = 'refunded' THEN price ELSE 0 END, 'CNY',
    CASE WHEN n % 7 = 0 THEN 'poll' ELSE 'notice' END, placed_at + interval '1 minute',
    CASE WHEN is_paid THEN 'applied' ELSE 'attention' END,
    CASE WHEN is_paid THEN '' ELSE
        'came after the hold had ended, and nothing was left: refund this' END,
    CASE WHEN NOT is_paid AND lateness > %(stuck)s THEN placed_at + interval '1 day' END,
    CASE WHEN NOT is_paid AND lateness > %(stuck)s THEN 'boss' ELSE '' END
FROM (
    SELECT *, count(*) FILTER (WHERE NOT is_paid) OVER (ORDER BY n DESC) AS lateness FROM scale_order
    WHERE is_paid OR is_tried AND status = 'expired' AND n % 5 = 0
) AS came

-- refunds
INSERT INTO payments_refund (shop_id, payment_id, receipt_id, item_id, out_refund_no, amount_minor,
    currency, status, reason, requested_by, requested_at, approved_by, ended_at, queries, last_error,
    attention, resolved_by)
SELECT shop_id, n, n, n, 'R' || lpad(n::text, 20, '0'), price, 'CNY', 'done', 'it did not open', 'boss',
    placed_at + interval '1 day', '', placed_at + interval '1 day', 1, '', '', ''
FROM scale_order WHERE status = 'refunded'
UNION ALL
SELECT shop_id, n, n, NULL, 'S' || lpad(n::text, 20, '0'), 1,
    'CNY', state, 'it did not open', 'boss', placed_at + interval '1 day', '',
    CASE state WHEN 'failed' THEN placed_at + interval '1 day' END, 1, '',
    CASE state WHEN 'failed' THEN
        'the provider refused the refund: see why, then try again or send the money by hand'
    ELSE '' END, ''
FROM (SELECT *, CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'awaited' END AS state FROM scale_order
      WHERE status IN ('delivered', 'completed') ORDER BY n DESC LIMIT %(stuck)s) AS stuck

-- providers' notices
/* Kept for half a year. */
INSERT INTO payments_webhookevent (shop_id, channel_id, digest, method, query, body, received_at, outcome)
SELECT shop_id, channel_id, md5('event' || n) || md5('digest' || n), 'GET',
    'pid=1001&out_trade_no=T' || substr(md5('trade' || n), 1, 12) || lpad(to_hex(n), 8, '0')
        || '&type=alipay&trade_status=TRADE_SUCCESS&sign_type=MD5&sign=' || md5('sign' || n), '',
    placed_at + interval '1 minute', 'applied'
FROM scale_order WHERE is_paid AND placed_at > now() - interval '180 days' ORDER BY n

-- refused notices
INSERT INTO payments_refusednotice (channel_id, at, why, method, size, address, digest)
SELECT channel.id, now() - n * interval '1 hour', 'bad signature', 'GET', 250, '203.0.113.7',
    md5('refused' || n)
FROM payments_paymentchannel AS channel CROSS JOIN generate_series(1, 40) AS n

-- statements
INSERT INTO payments_statement (shop_id, channel_id, day, tries, read_at, trades, refunds, found,
    missing, last_error, attention, resolved_by)
SELECT shop_id, id, current_date - n, 1, now() - n * interval '1 day', 100, 2, 0, 0, '', '', ''
FROM payments_paymentchannel CROSS JOIN generate_series(1, 364) AS n

-- batches
INSERT INTO inventory_keybatch (id, shop_id, variant_id, note, unit_cost_minor, cost_currency,
    imported_by, imported_at, lines, imported, duplicates, refused)
SELECT batch_id, shop_id, variant_id, 'supplier ' || batch_id % 7,
    CASE WHEN batch_id % 5 > 0 THEN 300 END, CASE WHEN batch_id % 5 > 0 THEN 'CNY' ELSE '' END, 'boss',
    now() - interval '365 days' + interval '364 days' * batch_id / (SELECT max(batch_id) FROM scale_key),
    count(*), count(*), 0, 0
FROM scale_key JOIN scale_variant USING (variant_id) GROUP BY batch_id, shop_id, variant_id

-- lines left out
INSERT INTO inventory_leftoutline (batch_id, line, reason)
SELECT id, n, 'known' FROM inventory_keybatch CROSS JOIN generate_series(1, 5) AS n

-- card keys
INSERT INTO inventory_cardkey (id, shop_id, variant_id, batch_id, uid, status, void_because, sealed,
    fingerprint)
SELECT id, shop_id, variant_id, batch_id, md5('uid' || id)::uuid,
    CASE WHEN line_id IS NOT NULL THEN 'sold' WHEN id % 20 = 0 THEN 'void' ELSE 'available' END,
    CASE WHEN line_id IS NULL AND id % 20 = 0 THEN 'withdrawn' ELSE '' END,
    %(head)s || decode(md5('a' || id) || md5('b' || id) || md5('c' || id) || md5('d' || id)
        || md5('e' || id) || md5('f' || id), 'hex'),
    decode(md5('x' || id) || md5('y' || id), 'hex')
FROM scale_key JOIN scale_variant USING (variant_id) ORDER BY id

-- keys handed over
INSERT INTO orders_deliveredkey (item_id, slot, card_key_id, delivered_at)
SELECT scale_line.id, 0, scale_key.id, placed_at + interval '2 minutes'
FROM scale_line JOIN scale_key ON line_id = scale_line.id ORDER BY placed_at

-- stock
UPDATE inventory_stock AS stock SET total = counted.total, released = counted.total,
    claimed = counted.claimed
FROM (
    SELECT variant_id, count(*) FILTER (WHERE status <> 'void') AS total,
        count(*) FILTER (WHERE status = 'sold') AS claimed
    FROM inventory_cardkey GROUP BY variant_id
) AS counted WHERE counted.variant_id = stock.variant_id

-- accesses to keys
INSERT INTO inventory_keyaccess (shop_id, kind, batch_id, card_key_id, count, why, who, approved_by,
    address, at)
SELECT shop_id, 'revealed', batch_id, id, 1, 'a buyer asked', 'clerk ' || id % 9, '', '203.0.113.7',
    now() - interval '365 days' + interval '365 days' * id / %(orders)s
FROM scale_key JOIN scale_variant USING (variant_id) WHERE id % 20 = 0 ORDER BY id

-- requests for keys
INSERT INTO inventory_keyrequest (shop_id, kind, batch_id, card_key_id, withdraws, why, status, asked_by,
    asked_at, decided_by)
SELECT shop_id, 'revealed', batch_id, id, false, 'a buyer asked', 'used', 'clerk ' || id % 9,
    now() - interval '365 days' + interval '365 days' * id / %(orders)s, 'boss'
FROM scale_key JOIN scale_variant USING (variant_id) WHERE id % 50 = 0 ORDER BY id

-- recalls
INSERT INTO payments_keyrecall (shop_id, batch_id, way, status, reason, lines, done, failed, reached,
    halted, asked_by, asked_at, approved_by)
SELECT shop_id, id, 'replace', 'ended', 'it did not open', 1, 1, 0, 0, '', 'boss', imported_at, ''
FROM inventory_keybatch ORDER BY id

-- promises
/* Kept for a month. */
INSERT INTO outbox_outboxmessage (shop_id, task, subject_id, due_at, attempts, cause, created_at,
    done_at, attention)
SELECT shop_id, task, n, placed_at, 1, '', placed_at,
    CASE WHEN ago >= %(short)s THEN placed_at + interval '1 second' END,
    CASE WHEN ago >= %(paid)s AND ago < %(short)s AND n % 2 = 0 THEN 'gave up' ELSE '' END
FROM scale_order CROSS JOIN (VALUES ('orders.deliver'), ('orders.mail_delivery')) AS todo (task)
WHERE is_paid AND placed_at > now() - interval '30 days' ORDER BY n

-- tickets
/* Kept for a month: of those who did not get through at once. */
INSERT INTO orders_ticket (shop_id, variant_id, ticket_id, buyer_key, address_key, contact_email,
    language, quantity, place, status, reason, settled_at, ended_at)
SELECT sale.shop_id, sale.variant_id, md5('waits' || n), md5('b' || n), '',
    'waits' || n || '@example.org', 'zh-hans', 1, n,
    CASE WHEN n > %(orders)s / 2 - 200 THEN 'waiting' WHEN n % 5 = 0 THEN 'left' WHEN n % 5 < 3 THEN
        'ordered' ELSE 'refused' END,
    CASE WHEN n % 5 > 2 THEN 'sold_out' ELSE '' END,
    now() - (%(orders)s / 2 - n) * interval '30 days' / %(orders)s,
    CASE WHEN n <= %(orders)s / 2 - 200 THEN now() END
FROM orders_sale AS sale JOIN generate_series(1, %(orders)s / 2) AS n
    ON sale.id = (SELECT CASE WHEN n % 10 = 0 THEN max(id) ELSE min(id) END FROM orders_sale)

-- registrations
INSERT INTO orders_registration (sale_id, ticket_id, buyer_key, address_key, contact_email, language,
    quantity, registered_at)
SELECT (SELECT CASE WHEN n % 10 = 0 THEN max(id) ELSE min(id) END FROM orders_sale),
    md5('early' || n), md5('b' || n), '', 'early' || n || '@example.org', 'zh-hans', 1, now()
FROM generate_series(1, %(orders)s / 10) AS n

-- look-up passwords
INSERT INTO orders_lookuppassword (shop_id, order_id, encoded, set_at)
SELECT shop_id, n, 'none', placed_at FROM scale_order WHERE n % 10 = 0

-- balances
INSERT INTO payments_balance (id, shop_id, holder, contact_email, currency, amount_minor, code_digest,
    is_frozen, opened_at)
SELECT n, CASE WHEN n % 10 = 0 THEN (SELECT max(id) FROM shops_shop) ELSE (SELECT min(id) FROM shops_shop)
    END, 'holder ' || n, 'holder' || n || '@example.org', 'CNY', 400, md5('code' || n), n % 50 = 0, now()
FROM generate_series(1, %(orders)s / 50) AS n

-- entries of balances
INSERT INTO payments_balanceentry (balance_id, amount_minor, after_minor, kind, reference, reason, actor,
    at)
SELECT id, entry.amount, entry.left, entry.kind, entry.kind || id, '', 'boss', now()
FROM payments_balance CROSS JOIN (VALUES (500, 500, 'credit'), (-100, 400, 'payment'))
    AS entry (amount, "left", kind)

-- alerts
INSERT INTO alerts_alert (shop_id, kind, subject, about, seen_at, told_at, ended_at)
SELECT shop_id, 'sold_out', variant_id, '{"name": "x"}', placed_at, placed_at, placed_at
FROM scale_order WHERE n % 100 = 0 ORDER BY n

-- sent alerts
INSERT INTO alerts_message (destination_id, uid, title, text, created_at, status, attempts, ended_at,
    last_error)
SELECT destination.id, md5('told' || n)::uuid, 'sold out', 'sold out', placed_at, 'sent', 1, placed_at, ''
FROM scale_order JOIN alerts_destination AS destination USING (shop_id) WHERE n % 100 = 0 ORDER BY n

-- what staff did
INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr, action_flag,
    change_message)
SELECT placed_at, (SELECT min(id) FROM auth_user),
    (SELECT id FROM django_content_type WHERE app_label = 'orders' AND model = 'order'), n, n, 2, ''
FROM scale_order WHERE n % 20 = 0 ORDER BY n

-- what staff did, as the audit log tells it
INSERT INTO audit_auditentry (shop_id, at, who, address, action, of, of_id, named, said, changes)
SELECT shop_id, placed_at, 'clerk ' || n % 9, '203.0.113.7', 'changed', 'orders.order', n::text, n::text, '', '[]'
FROM scale_order WHERE n % 20 = 0 ORDER BY n
