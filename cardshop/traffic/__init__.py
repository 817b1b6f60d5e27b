"""What stands between a request and a view: passes, origins, sizes, error pages."""
