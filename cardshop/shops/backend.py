"""What somebody may do: all of it for superusers, for others what their role in the shop they act in says."""

from typing import Any

from django.contrib.auth.backends import ModelBackend

from cardshop.shops.models import Membership, Role
from cardshop.shops.roles import permissions_of


class MemberBackend(ModelBackend):
    """Django asks for permissions in many places and names no shop. So each request is made in one, the
    membership that `MembershipMiddleware` puts upon the user, and every such question is about that shop.
    """

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if user_obj.is_active and user_obj.is_superuser:
            return super().get_all_permissions(user_obj, obj)
        membership: Membership | None = getattr(user_obj, "membership", None)
        if membership is None or not user_obj.is_active or obj is not None:
            return set()
        if membership.role == Role.CUSTOM:
            return super().get_all_permissions(user_obj)
        return set(permissions_of(Role(membership.role)))
