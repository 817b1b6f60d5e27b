"""What staff saw of keys and of their buyers: to be read, by nobody to be changed."""

from django.contrib import admin

from cardshop.common.admin import ReadOnlyAdmin
from cardshop.common.shop_scope import ShopAutocompleteFilter
from inventory.models import KeyAccess


@admin.register(KeyAccess)
class KeyAccessAdmin(ReadOnlyAdmin):
    shop_path = "shop"
    list_display = ["at", "who", "approved_by", "kind", "batch", "card_key", "count", "why", "address"]
    list_filter = ["kind", "shop", ("batch", ShopAutocompleteFilter), "at"]
    list_filter_submit = True
    list_select_related = ["batch__variant__product", "card_key"]
    search_fields = ["=who", "=approved_by", "why"]
    fields = ["shop", "at", "who", "approved_by", "kind", "batch", "card_key", "count", "why", "address"]
