"""Every address of the shop."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import never_cache
from drf_spectacular.views import SpectacularAPIView

from cardshop.operations.api_docs import api_docs
from cardshop.operations.health import healthz, readyz
from cardshop.operations.metrics import metrics
from inventory.api import ProductApi, ProductsApi
from inventory.views import product_image, robots, sitemap
from orders.admission.api import TicketApi, TicketsApi
from orders.api import OrdersApi, PassesApi
from payments.checkout import api as checkout
from payments.checkout.views import pay_in_wechat, pay_return
from payments.webhooks import notify

handler400 = "cardshop.traffic.errors.bad_request"
handler403 = "cardshop.traffic.errors.permission_denied"
handler404 = "cardshop.traffic.errors.page_not_found"
handler500 = "cardshop.traffic.errors.server_error"

buyer_api = [
    path("products/", ProductsApi.as_view(), name="api_products"),
    path("products/<slug:slug>/", ProductApi.as_view(), name="api_product"),
    path("passes/", PassesApi.as_view(), name="api_passes"),
    path("tickets/", TicketsApi.as_view(), name="api_tickets"),
    path("tickets/<slug:code>/<slug:ticket_id>/", TicketApi.as_view(), name="api_ticket"),
    path("orders/", OrdersApi.as_view(), name="api_orders"),
    path("orders/<slug:token>/", checkout.OrderApi.as_view(), name="api_order"),
    path(
        "orders/<slug:token>/payments/",
        checkout.OrderPaymentsApi.as_view(),
        name="api_order_payments",
    ),
    path("orders/<slug:token>/cancel/", checkout.OrderCancelApi.as_view(), name="api_order_cancel"),
    path("orders/<slug:token>/contact/", checkout.OrderContactApi.as_view(), name="api_order_contact"),
    path("orders/<slug:token>/keys/", checkout.OrderKeysApi.as_view(), name="api_order_keys"),
]

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("admin/", admin.site.urls),
    path("api/v1/", include(buyer_api)),
    path("api/reseller/v1/", include("resellers.api.urls")),
    path("api/merchant/v1/", include("cardshop.merchant_api.urls")),
    path("api/schema/", never_cache(SpectacularAPIView.as_view()), name="schema"),
    path("api/docs/", api_docs, name="api_docs"),
    path("pay/notify/<slug:channel_slug>/", notify, name="notify"),
    path("pay/return/<slug:out_trade_no>/", pay_return, name="pay_return"),
    path("pay/wechat/", pay_in_wechat, name="pay_in_wechat"),
    path("robots.txt", robots),
    path("sitemap.xml", sitemap, name="sitemap"),
    path("media/products/<slug:digest>.<slug:suffix>", product_image),
    *i18n_patterns(
        path("", include("inventory.urls")),
        path("", include("orders.urls")),
        path("", include("payments.checkout.urls")),
        path("", include("resellers.page.urls")),
        prefix_default_language=False,
    ),
]
