"""What has been sold, by day: counted beforehand, so that a look costs the same however much it was."""
