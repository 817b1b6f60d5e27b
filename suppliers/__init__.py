"""Sells what others have in stock: asks them for it once a buyer has paid, and hands it on."""
