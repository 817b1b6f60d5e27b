from django.urls import path

from cardshop.merchant_api import card_keys, catalogue, delivering, imports, orders, refunds, statistics
from cardshop.merchant_api.stock import StockApi

urlpatterns = [
    path("products/", catalogue.MerchantProductsApi.as_view(), name="merchant_products"),
    path("products/<slug:slug>/", catalogue.MerchantProductApi.as_view(), name="merchant_product"),
    path("variants/", catalogue.MerchantVariantsApi.as_view(), name="merchant_variants"),
    path("variants/<slug:code>/", catalogue.MerchantVariantApi.as_view(), name="merchant_variant"),
    path("variants/<slug:code>/stock/", StockApi.as_view(), name="merchant_stock"),
    path("variants/<slug:code>/imports/", imports.ImportsApi.as_view(), name="merchant_imports"),
    path("imports/", imports.ImportsListApi.as_view(), name="merchant_imports_list"),
    path("imports/<int:pk>/", imports.ImportApi.as_view(), name="merchant_import"),
    path("imports/<int:pk>/left-out/", imports.LeftOutApi.as_view(), name="merchant_left_out"),
    path("orders/", orders.MerchantOrdersApi.as_view(), name="merchant_orders"),
    path("orders/<slug:number>/", orders.MerchantOrderApi.as_view(), name="merchant_order"),
    path("orders/<slug:number>/fill-in/", delivering.FillInApi.as_view(), name="merchant_fill_in"),
    path("orders/<slug:number>/corrections/", delivering.CorrectionApi.as_view(), name="merchant_correction"),
    path(
        "orders/<slug:number>/replacements/", delivering.ReplacementApi.as_view(), name="merchant_replacement"
    ),
    path("orders/<slug:number>/refunds/", refunds.OrderRefundsApi.as_view(), name="merchant_order_refunds"),
    path("orders/<slug:number>/help/<slug:kind>/", delivering.HelpApi.as_view(), name="merchant_order_help"),
    path("refunds/", refunds.RefundsApi.as_view(), name="merchant_refunds"),
    path("refunds/<slug:number>/", refunds.RefundApi.as_view(), name="merchant_refund"),
    path("card-keys/<int:pk>/reveal/", card_keys.RevealApi.as_view(), name="merchant_reveal"),
    path("key-requests/<int:pk>/reveal/", card_keys.KeyRequestApi.as_view(), name="merchant_key_request"),
    path("statistics/days/", statistics.DaysApi.as_view(), name="merchant_days"),
]
