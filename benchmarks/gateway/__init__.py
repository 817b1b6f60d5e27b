"""What the gateway spares the shop, beside the same nginx doing nothing."""
