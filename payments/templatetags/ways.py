"""Template words of the ways to pay. The catalogue's pages use them, which payments stand above."""

from django import template

from payments.selectors import ways_of

register = template.Library()
register.simple_tag(ways_of)
