"""A mail server to test with."""

from django.core.mail.backends.locmem import EmailBackend


class MailServer(EmailBackend):
    """Notes how often it is called up, which a mail sent by itself does too; `says` raises for an address."""

    opened = 0
    says: dict[str, Exception] = {}
    connected = False

    def open(self):
        if not self.connected:
            self.connected = True
            MailServer.opened += 1

    def send_messages(self, messages):
        self.open()
        (message,) = messages
        if error := MailServer.says.get(message.to[0]):
            raise error
        return super().send_messages(messages)
