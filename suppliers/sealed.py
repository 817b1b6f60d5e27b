"""What of suppliers is sealed."""

from cardshop.common.sealed import SealedColumn
from suppliers.models import Supplier

SEALED = [
    SealedColumn("suppliers", Supplier, "sealed_secret", lambda supplier: supplier.secret_context),
]
