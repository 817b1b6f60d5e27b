from django.urls import path

from resellers.page import account, entrance, keys, members, orders, webhooks

urlpatterns = [
    path("reseller/", account.account, name="reseller_account_page"),
    path("reseller/pay-in/", account.pay_in, name="reseller_pay_in"),
    path("reseller/statement.csv", account.statement, name="reseller_statement"),
    path("reseller/log-in/", entrance.log_in_page, name="reseller_log_in"),
    path("reseller/log-out/", entrance.log_out, name="reseller_log_out"),
    path("reseller/confirm/", entrance.confirm, name="reseller_confirm"),
    path("reseller/enter/", entrance.enter, name="reseller_enter"),
    path("reseller/enter/<slug:code>/", entrance.link, name="reseller_link"),
    path("reseller/keys/", keys.keys, name="reseller_keys"),
    path("reseller/keys/new/", keys.new_key, name="reseller_new_key"),
    path("reseller/keys/<slug:name>/follow/", keys.follow_key, name="reseller_follow_key"),
    path("reseller/keys/<slug:name>/revoke/", keys.revoke_key, name="reseller_revoke_key"),
    path("reseller/orders/", orders.orders, name="reseller_orders_page"),
    path("reseller/orders/<slug:number>/", orders.order, name="reseller_order_page"),
    path("reseller/orders/<slug:number>/keys/", orders.order_keys, name="reseller_show_keys"),
    path("reseller/webhooks/", webhooks.webhooks, name="reseller_webhooks_page"),
    path("reseller/webhooks/new/", webhooks.new_webhook, name="reseller_new_webhook"),
    path("reseller/webhooks/deliveries/<uuid:uid>/again/", webhooks.send_again, name="reseller_send_again"),
    path("reseller/webhooks/<slug:name>/", webhooks.webhook, name="reseller_webhook_page"),
    path("reseller/webhooks/<slug:name>/pause/", webhooks.pause_webhook, name="reseller_pause_webhook"),
    path("reseller/webhooks/<slug:name>/resume/", webhooks.resume_webhook, name="reseller_resume_webhook"),
    path("reseller/webhooks/<slug:name>/remove/", webhooks.remove_webhook, name="reseller_remove_webhook"),
    path("reseller/members/", members.members, name="reseller_members"),
    path("reseller/members/new/", members.new_member, name="reseller_new_member"),
    path("reseller/members/<int:pk>/remove/", members.let_go, name="reseller_let_go"),
]
