"""How the documentation of the API names the ways to show who one is."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from resellers import signing

SEE = "docs/resellers.md says how it is signed."


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "resellers.api.authentication.ApiKeyAuthentication"
    name = ["signature", "bearer"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": f"`{signing.SCHEME} key=…, timestamp=…, nonce=…, signature=…`: {SEE}",
            },
            {
                "type": "http",
                "scheme": "bearer",
                "description": "Key and secret with a dot between them, of a key for reading only.",
            },
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """One of them will do."""
        return [{name: []} for name in self.name]
