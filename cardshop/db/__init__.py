"""How the shop speaks to PostgreSQL."""
