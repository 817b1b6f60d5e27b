"""`manage.py doctor`: what is wrong with this installation, in plain words, and what to do about it.

Each check looks at one thing, for a few seconds at most, and says a sentence with a remedy; see `findings`.
What `check --deploy`, `/readyz`, `verify` and the page "Right now" know already is asked of them.
"""
