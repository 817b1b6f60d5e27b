"""Finding an order again without its link: by number, or by a mail to its contact.

Whether a number or an address is known here is nobody's business. Every look-up is answered alike, and by as
much work; docs/adr/0022 argues how.
"""
