"""What of inventory is sealed."""

from cardshop.common.sealed import SealedColumn
from inventory.card_keys import context_of, index_context_of
from inventory.imports.spool import context_of as upload_context_of
from inventory.models import CardKey, IndexKey, KeyUpload

SEALED = [
    SealedColumn("card keys", CardKey, "sealed", lambda key: context_of(key.uid, key.variant_id)),
    SealedColumn("index keys", IndexKey, "sealed", lambda key: index_context_of(key.shop_id)),
    SealedColumn("uploads", KeyUpload, "sealed_key", upload_context_of),
]
