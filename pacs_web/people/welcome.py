"""The one-time link: a person chooses a password, and logs in with it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _

from pacs_web.people.keeping import tell


class Welcome(PasswordResetConfirmView):
    """Django's own: the secret moves from the address into the session before anything is shown."""

    template_name = "people/welcome.html"
    success_url = reverse_lazy("login")

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the password; the link is void with it, and so are all logins."""
        self.user.must_change_password = False
        response = super().form_valid(form)
        self.request.user = self.user
        tell(self.request, self.user.get_username(), "password chosen by one-time link")
        messages.success(self.request, _("Your password is set: log in with it."))
        return response
