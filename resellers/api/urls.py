from django.urls import path

from resellers.api import webhooks
from resellers.api.account import AccountApi, EntriesApi, StatementApi
from resellers.api.catalogue import ResellerProductApi, ResellerProductsApi, ResellerStockApi
from resellers.api.claims import ClaimApi, ClaimsApi
from resellers.api.encryption import EncryptionKeyApi
from resellers.api.events import EventsApi
from resellers.api.orders import BatchApi, CancelApi, OrderKeysApi, ResellerOrderApi, ResellerOrdersApi
from resellers.api.quotes import QuotesApi
from resellers.api.top_ups import TopUpApi, TopUpsApi

urlpatterns = [
    path("account/", AccountApi.as_view(), name="reseller_account"),
    path("account/encryption-key/", EncryptionKeyApi.as_view(), name="reseller_encryption_key"),
    path("account/entries/", EntriesApi.as_view(), name="reseller_entries"),
    path("account/statement.csv", StatementApi.as_view(), name="reseller_statement"),
    path("account/top-ups/", TopUpsApi.as_view(), name="reseller_top_ups"),
    path("account/top-ups/<slug:number>/", TopUpApi.as_view(), name="reseller_top_up"),
    path("orders/", ResellerOrdersApi.as_view(), name="reseller_orders"),
    path("orders/batch/", BatchApi.as_view(), name="reseller_batch"),
    path("orders/<slug:number>/", ResellerOrderApi.as_view(), name="reseller_order"),
    path("orders/<slug:number>/keys/", OrderKeysApi.as_view(), name="reseller_order_keys"),
    path("orders/<slug:number>/cancel/", CancelApi.as_view(), name="reseller_order_cancel"),
    path("orders/<slug:number>/claims/", ClaimApi.as_view(), name="reseller_claim"),
    path("claims/", ClaimsApi.as_view(), name="reseller_claims"),
    path("products/", ResellerProductsApi.as_view(), name="reseller_products"),
    path("products/<slug:slug>/", ResellerProductApi.as_view(), name="reseller_product"),
    path("stock/", ResellerStockApi.as_view(), name="reseller_stock"),
    path("quotes/", QuotesApi.as_view(), name="reseller_quotes"),
    path("events/", EventsApi.as_view(), name="reseller_events"),
    path("webhooks/", webhooks.WebhooksApi.as_view(), name="reseller_webhooks"),
    path("webhooks/deliveries/", webhooks.DeliveriesApi.as_view(), name="reseller_deliveries"),
    path(
        "webhooks/deliveries/<uuid:uid>/replay/",
        webhooks.DeliveryReplayApi.as_view(),
        name="reseller_delivery_replay",
    ),
    path("webhooks/<slug:key>/", webhooks.WebhookApi.as_view(), name="reseller_webhook"),
    path("webhooks/<slug:key>/pause/", webhooks.WebhookPauseApi.as_view(), name="reseller_webhook_pause"),
    path("webhooks/<slug:key>/resume/", webhooks.WebhookResumeApi.as_view(), name="reseller_webhook_resume"),
]
