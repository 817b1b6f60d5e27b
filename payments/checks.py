"""Invariants 2, 4, 7 and 11: money and orders agree, and balances are what their entries come to."""

from cardshop.common.invariants import Check

CHECKS = [
    Check(
        "payments.paid_orders_have_payments",
        """SELECT 'order ' || number || ' is ' || "order".status || ', its payment '
                  || coalesce(payment.status, 'does not exist')
           FROM orders_order AS "order" LEFT JOIN payments_payment AS payment
             ON payment.order_id = "order".id
           WHERE ("order".status IN ('paid', 'delivered', 'completed', 'refunded'))
              <> (coalesce(payment.status, '') = 'succeeded')""",
    ),
    Check(
        "payments.succeeded_means_money",
        """SELECT 'payment ' || payment.id || ': owed ' || payment.amount_minor || ', applied '
                  || coalesce(sum(receipt.amount_minor), 0)
           FROM payments_payment AS payment
           LEFT JOIN payments_paymentattempt AS attempt ON attempt.payment_id = payment.id
           LEFT JOIN payments_receipt AS receipt
             ON receipt.attempt_id = attempt.id AND receipt.status = 'applied'
            AND receipt.currency = payment.currency
           GROUP BY payment.id
           HAVING (payment.status = 'succeeded')
               <> (coalesce(sum(receipt.amount_minor), 0) >= payment.amount_minor)""",
    ),
    Check(
        "payments.owed_is_the_price_at_order",
        """SELECT 'payment ' || payment.id || ' of ' || payment.amount_minor || ' for order ' || number
                  || ' of ' || total_minor
           FROM payments_payment AS payment JOIN orders_order AS "order" ON "order".id = payment.order_id
           WHERE payment.amount_minor <> total_minor OR payment.currency <> "order".currency""",
    ),
    Check(
        "payments.surplus_is_flagged",
        """SELECT 'payment ' || payment.id || ' got ' || sum(receipt.amount_minor) || ' for '
                  || payment.amount_minor || ' and nobody was told'
           FROM payments_payment AS payment
           JOIN payments_paymentattempt AS attempt ON attempt.payment_id = payment.id
           JOIN payments_receipt AS receipt ON receipt.attempt_id = attempt.id
           WHERE receipt.status <> 'recorded' GROUP BY payment.id
           HAVING sum(receipt.amount_minor) > payment.amount_minor
              AND count(*) FILTER (WHERE receipt.attention <> '') = 0""",
    ),
    Check(
        "payments.who_waits_for_keys_has_paid",
        # Money alone may go back once the keys are out; before that only what came on top of the price.
        """SELECT 'order ' || number || ' waits for keys, and ' || payment.amount_minor || ' are owed, '
                  || money.applied || ' came and ' || money.back || ' went back'
           FROM orders_order AS "order" JOIN payments_payment AS payment ON payment.order_id = "order".id
           CROSS JOIN LATERAL (
               SELECT coalesce(sum(receipt.amount_minor), 0) AS applied, coalesce(sum((
                   SELECT sum(refund.amount_minor) FROM payments_refund AS refund
                   WHERE refund.receipt_id = receipt.id AND refund.item_id IS NULL
                     AND refund.status NOT IN ('failed', 'declined'))), 0) AS back
               FROM payments_receipt AS receipt JOIN payments_paymentattempt AS attempt
                 ON attempt.id = receipt.attempt_id
               WHERE attempt.payment_id = payment.id AND receipt.status = 'applied'
           ) AS money
           WHERE "order".status = 'paid' AND money.applied - money.back < payment.amount_minor""",
    ),
    Check(
        "payments.refunds_add_up",
        """SELECT 'receipt ' || provider_txn_id || ': ' || refunded_minor || ' of ' || receipt.amount_minor
                  || ' refunded, its refunds come to ' || coalesce(sum(refund.amount_minor), 0)
           FROM payments_receipt AS receipt LEFT JOIN payments_refund AS refund
             ON refund.receipt_id = receipt.id AND refund.status NOT IN ('failed', 'declined')
           GROUP BY receipt.id HAVING refunded_minor <> coalesce(sum(refund.amount_minor), 0)""",
    ),
    Check(
        "payments.refunds_and_lines_agree",
        """SELECT 'item ' || item.id || ' is ' || item.status || ', its refund '
                  || coalesce(refund.status, 'does not exist')
           FROM orders_orderitem AS item LEFT JOIN payments_refund AS refund
             ON refund.item_id = item.id AND refund.status NOT IN ('failed', 'declined', 'awaited')
           WHERE CASE coalesce(refund.status, '') WHEN '' THEN item.status IN ('refunding', 'refunded')
               WHEN 'done' THEN item.status <> 'refunded' ELSE item.status <> 'refunding' END""",
    ),
    Check(
        "payments.refunds_move_on",
        """SELECT 'refund ' || out_refund_no || ' is ' || status || ' and nobody sees to it'
           FROM payments_refund
           WHERE status IN ('requested', 'sent') AND next_query_at IS NULL AND payments_refund.attention = ''
             AND coalesce(sent_at, requested_at) < clock_timestamp() - %(grace)s::interval
             AND NOT EXISTS (SELECT FROM outbox_outboxmessage AS message
                 WHERE task = 'payments.send_refunds' AND subject_id = payments_refund.id
                   AND done_at IS NULL AND message.attention = '')""",
        needs_grace=True,
    ),
    Check(
        "payments.no_money_in_limbo",
        """SELECT 'receipt ' || provider_txn_id || ' recorded at ' || received_at FROM payments_receipt
           WHERE status = 'recorded' AND received_at < clock_timestamp() - %(grace)s::interval""",
        needs_grace=True,
    ),
    Check(
        "payments.notices_are_read",
        """SELECT 'notice ' || id || ' received at ' || received_at FROM payments_webhookevent
           WHERE outcome = 'waiting' AND received_at < clock_timestamp() - %(grace)s::interval""",
        needs_grace=True,
    ),
    Check(
        "payments.balances_add_up",
        """SELECT 'balance ' || balance.id || ' is ' || balance.amount_minor || ', its entries come to '
                  || coalesce(sum(entry.amount_minor), 0)
           FROM payments_balance AS balance LEFT JOIN payments_balanceentry AS entry
             ON entry.balance_id = balance.id
           GROUP BY balance.id HAVING balance.amount_minor <> coalesce(sum(entry.amount_minor), 0)""",
    ),
    Check(
        "payments.balance_history_is_unbroken",
        """SELECT 'entry ' || id || ' of ' || amount_minor || ' made ' || after_minor
                  || ' of ' || before_minor
           FROM (SELECT *, lag(after_minor, 1, 0::bigint) OVER (PARTITION BY balance_id ORDER BY id)
                     AS before_minor FROM payments_balanceentry) AS entry
           WHERE before_minor + amount_minor <> after_minor""",
    ),
    Check(
        "payments.top_ups_are_credited_once",
        """SELECT 'order ' || number || ' is ' || "order".status || ', a top-up of ' || total_minor
                  || ' for balance ' || top_up.balance_id || ', credited ' || coalesce(entry.amount_minor, 0)
           FROM payments_topup AS top_up
           JOIN orders_order AS "order" ON "order".id = top_up.order_id
           LEFT JOIN payments_balanceentry AS entry
             ON entry.kind = 'credit' AND entry.reference = "order".number
           WHERE CASE WHEN "order".status IN ('delivered', 'completed', 'refunded')
               THEN (entry.balance_id, entry.amount_minor) IS DISTINCT FROM (top_up.balance_id, total_minor)
               ELSE entry.id IS NOT NULL END""",
    ),
    Check(
        "payments.top_ups_are_for_their_accounts",
        """SELECT 'order ' || number || ' is ' || CASE WHEN is_top_up THEN 'a' ELSE 'no' END
                  || ' top-up, for balance ' || coalesce(balance.id::text, 'none')
           FROM orders_order AS "order"
           LEFT JOIN payments_topup AS top_up ON top_up.order_id = "order".id
           LEFT JOIN payments_balance AS balance ON balance.id = top_up.balance_id
           WHERE (is_top_up OR balance.id IS NOT NULL) AND (
               NOT is_top_up OR balance.id IS NULL
               OR (balance.shop_id, balance.currency) <> ("order".shop_id, "order".currency)
               OR EXISTS (SELECT FROM orders_orderitem WHERE order_id = "order".id))""",
    ),
    Check(
        "payments.paid_top_ups_are_credited_soon",
        """SELECT 'order ' || number || ' was paid, and its account has not been credited'
           FROM orders_order AS "order" WHERE status = 'paid' AND is_top_up AND EXISTS (
               SELECT FROM orders_orderevent AS event WHERE event.order_id = "order".id
                 AND event.after = 'paid' AND event.at < clock_timestamp() - %(grace)s::interval)""",
        needs_grace=True,
    ),
    Check(
        "payments.refunded_top_ups_leave_the_account",
        # What came on top of a top-up never was on it.
        """SELECT 'refund ' || coalesce(out_refund_no, reference) || ' is ' || coalesce(status, 'not there')
                  || ', and its account has paid out ' || -entry.amount_minor
                  || ' and got back ' || back.minor
           FROM payments_balanceentry AS entry
           LEFT JOIN payments_refund AS refund ON out_refund_no = reference
           CROSS JOIN LATERAL (
               SELECT coalesce(sum(amount_minor), 0) AS minor FROM payments_balanceentry
               WHERE kind = 'correction' AND reference = entry.reference
           ) AS back
           WHERE entry.kind = 'paid_out' AND CASE
               WHEN refund.id IS NULL THEN true
               WHEN status IN ('failed', 'declined') THEN back.minor <> -entry.amount_minor
               ELSE back.minor <> 0 OR -entry.amount_minor > refund.amount_minor END""",
    ),
    Check(
        "payments.balance_payments_arrive",
        """SELECT 'entry ' || entry.id || ' paid ' || -entry.amount_minor || ' for ' || reference
                  || ' and it is not recorded as received'
           FROM payments_balanceentry AS entry JOIN payments_balance AS balance
             ON balance.id = entry.balance_id
           WHERE kind = 'payment' AND at < clock_timestamp() - %(grace)s::interval
             AND NOT EXISTS (SELECT FROM payments_receipt AS receipt
                 JOIN payments_paymentchannel AS channel ON channel.id = receipt.channel_id
                 WHERE driver = 'balance' AND receipt.shop_id = balance.shop_id
                   AND provider_txn_id = 'B' || entry.id AND receipt.amount_minor = -entry.amount_minor
                   AND receipt.currency = balance.currency)""",
        needs_grace=True,
    ),
    Check(
        "payments.balance_refunds_agree",
        """SELECT 'refund ' || coalesce(out_refund_no, reference) || ' is '
                  || coalesce(status, 'not there') || ' of ' || coalesce(refund.amount_minor, 0)
                  || ', given back to a balance: ' || coalesce(entry.amount_minor, 0)
           FROM (SELECT payments_refund.* FROM payments_refund
                 JOIN payments_receipt AS receipt ON receipt.id = receipt_id
                 JOIN payments_paymentchannel AS channel ON channel.id = channel_id
                 WHERE driver = 'balance') AS refund
           FULL JOIN (SELECT * FROM payments_balanceentry WHERE kind = 'refund') AS entry
             ON reference = out_refund_no
           WHERE CASE WHEN entry.id IS NULL THEN status = 'done'
               ELSE coalesce(status, '') NOT IN ('sent', 'done') OR refund.amount_minor <> entry.amount_minor
               END""",
    ),
]
