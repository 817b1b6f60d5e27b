"""Catalogue, Stock counters, and encrypted CardKeys with all that happens to them."""

from inventory.models.access import AccessKind, KeyAccess, KeyRequest, RequestStatus
from inventory.models.batches import (
    BatchState,
    ImportFailure,
    KeyBatch,
    KeyUpload,
    Layout,
    LeftOutLine,
    LeftOutReason,
    UploadChunk,
)
from inventory.models.card_keys import CardKey, CardKeyStatus, IndexKey, VoidBecause
from inventory.models.catalogue import (
    LONGEST_ANSWER,
    MOST_BUYER_FIELDS,
    BuyerField,
    Category,
    Fulfilment,
    Product,
    ProductImage,
    Selling,
    StockDisplay,
    Variant,
    image_path,
)
from inventory.models.stock import Stock

__all__ = [
    "LONGEST_ANSWER",
    "MOST_BUYER_FIELDS",
    "AccessKind",
    "BatchState",
    "BuyerField",
    "CardKey",
    "CardKeyStatus",
    "Category",
    "Fulfilment",
    "ImportFailure",
    "IndexKey",
    "KeyAccess",
    "KeyBatch",
    "KeyRequest",
    "KeyUpload",
    "Layout",
    "LeftOutLine",
    "LeftOutReason",
    "Product",
    "ProductImage",
    "RequestStatus",
    "Selling",
    "Stock",
    "StockDisplay",
    "UploadChunk",
    "Variant",
    "VoidBecause",
    "image_path",
]
