"""The first of the six steps: who is it? A name, a password, and where needed a second step."""

from __future__ import annotations

import time
from typing import Any

from axes.helpers import get_lockout_response
from django.contrib.auth import login as auth_login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from pacs_web import config
from pacs_web.accounts import two_steps
from pacs_web.accounts.addresses import is_inside
from pacs_web.accounts.forms import CodeForm, LoginForm
from pacs_web.accounts.models import Account
from pacs_web.accounts.proof import is_locked, proves
from pacs_web.menu import entries

WAITING = "waiting_for_code"  # in the session of a person whose password was right
WAITS_S = 300
UNPROCESSABLE = 422


class Login(LoginView):
    """Logs a person in and opens the first page that this person may see."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Tell the page of the provider where people may log in too, if there is one."""
        return super().get_context_data(**kwargs) | _provider()

    def form_valid(self, form: LoginForm) -> HttpResponse:
        """Log in, or ask for the second step: of all who set it up, and always from outside."""
        account = form.get_user()
        if _lacks_second_step(self.request, account):
            form.add_error(None, _second_step_wanted())
            return self.form_invalid(form)
        return admit(self.request, account, self.get_redirect_url())

    def get_success_url(self) -> str:
        """Return the page that was asked for, else the first of the person's menu."""
        return page_after_login(self.request, self.get_redirect_url())


def admit(
    request: HttpRequest, account: Account, asked: str, *, second_step_done: bool = False
) -> HttpResponse:
    """Log in who is proven, or ask for the second step where one is needed and not done.

    Who comes from outside without one is told to set it up inside first.
    """
    if second_step_done:
        request.two_steps_passed = True
    elif two_steps.enrolled(account):
        request.session.cycle_key()
        request.session[WAITING] = {
            "account": account.pk,
            "backend": account.backend,
            "since": time.time(),
            "next": asked,
        }
        return redirect("login-code")
    elif _lacks_second_step(request, account):
        return failed(request, _second_step_wanted(), status=403)
    auth_login(request, account, account.backend)
    return redirect(page_after_login(request, asked))


def failed(request: HttpRequest, said: str, status: int = UNPROCESSABLE) -> HttpResponse:
    """Show the login page with one line that says why somebody is not let in."""
    form = LoginForm(request)
    context = {"form": form, "said": said, **_provider()}
    return render(request, Login.template_name, context, status=status)


def wanted_page(request: HttpRequest) -> str:
    """Return the page of ours that `next` names, "" for none or another site's."""
    login = Login()
    login.setup(request)
    return login.get_redirect_url()


def _provider() -> dict[str, str]:
    return {"openid": config.OPENID_NAME if config.OPENID_ISSUER else ""}


def _lacks_second_step(request: HttpRequest, account: Account) -> bool:
    return not two_steps.enrolled(account) and not is_inside(request)


def _second_step_wanted() -> str:
    return _("From outside the hospital a second step is needed: set it up inside first.")


def page_after_login(request: HttpRequest, asked: str) -> str:
    """Return the page that was asked for, else the first of the person's menu."""
    pages = entries(request.user)
    if asked and asked not in {"/", reverse("login"), reverse("logout")}:
        return asked
    return pages[0]["url"] if pages else reverse("account")


@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponse:
    """Take the code; a wrong one counts as a failed login."""
    waiting = request.session.get(WAITING)
    account = _account_of(waiting)
    if account is None:
        return redirect("login")
    if is_locked(request, account):
        return get_lockout_response(request, credentials={"username": account.get_username()})
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        if proves(request, account, form.cleaned_data["code"]):
            del request.session[WAITING]
            request.two_steps_passed = True
            auth_login(request, account, waiting["backend"])
            return redirect(page_after_login(request, waiting["next"]))
        form.add_error("code", _("This code does not match. Each code works once."))
    status = UNPROCESSABLE if form.is_bound else 200
    return render(request, "accounts/login_code.html", {"form": form}, status=status)


def _account_of(waiting: dict[str, Any] | None) -> Account | None:
    if waiting is None or time.time() - waiting["since"] > WAITS_S:
        return None
    return Account.objects.filter(pk=waiting["account"], is_active=True).first()


class Logout(LogoutView):
    """Ends the session, and asks the browser to forget the pictures that it kept."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log out; reading stations are shared, and Back must show nobody's images."""
        if request.open_session is not None:
            request.open_session.delete()
        response = super().post(request, *args, **kwargs)
        response["Clear-Site-Data"] = '"cache", "storage"'
        return response
