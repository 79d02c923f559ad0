"""What makes pages and packages of netio; nothing of it is installed."""
