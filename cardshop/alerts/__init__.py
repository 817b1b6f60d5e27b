"""Tells the people of a shop when something needs them: by mail, Telegram, Bark, WeCom and webhook."""
