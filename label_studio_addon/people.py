"""Who asks: maintainers may do everything, everybody else what `rules.py` lists."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from jwt_auth.auth import TokenAuthenticationPhaseout
from rest_framework.exceptions import AuthenticationFailed
from users.models import User


def who_asks(request: HttpRequest) -> list[User]:
    """Every account that a request may speak for: that of its cookie or access token, and that of its legacy token.

    Label Studio's views prefer one to the other; a request is as free as its least free account.
    """
    found = [request.user] if request.user.is_authenticated else []
    try:
        by_token = TokenAuthenticationPhaseout().authenticate(request)
    except AuthenticationFailed:
        return found  # Label Studio's view refuses it with 401
    return [*found, by_token[0]] if by_token else found


def is_maintainer(user: User) -> bool:
    """Whether an account is named in PODCAST_MAINTAINERS; where that names none, whether it is the first account.

    Addresses are compared as they are stored: Label Studio lets `A@x.org` sign up beside `a@x.org`.
    """
    if settings.ADDON_MAINTAINERS:
        return user.email in settings.ADDON_MAINTAINERS
    return bool(user.pk == User.objects.order_by("pk").values_list("pk", flat=True).first())
