from django.urls import path

from resellers.api.account import AccountApi, EntriesApi

urlpatterns = [
    path("account/", AccountApi.as_view(), name="reseller_account"),
    path("account/entries/", EntriesApi.as_view(), name="reseller_entries"),
]
