"""The list of people, and the page of one."""

from __future__ import annotations

from datetime import timedelta

from axes.models import AccessAttempt
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.models import Account, Authenticator
from pacs_web.accounts.rights import Right
from pacs_web.nodes.registry import enabled_nodes
from pacs_web.people import keeping
from pacs_web.people.forms import PASSWORD, NewPersonForm, PersonForm
from pacs_web.people.limits import as_typed

ROWS_A_PAGE = 50
UNPROCESSABLE = 422


def server_names() -> list[str]:
    """Return the servers to which access can be limited."""
    return [node.name for node in enabled_nodes()]


@requires(Right.MANAGE_ACCOUNTS)
@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """List the people, or those whose name holds what is asked."""
    asked = request.GET.get("q", "").replace("\x00", "").strip()
    rows = _with_state(Account.objects.order_by("username").prefetch_related("groups", "limits"))
    if asked:
        named = ("username", "first_name", "last_name")
        wanted = [Q(**{f"{name}__icontains": asked}) for name in named]
        rows = rows.filter(wanted[0] | wanted[1] | wanted[2])
    page = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "people/people.html", {"page": page, "asked": asked})


def _with_state(rows: QuerySet[Account]) -> QuerySet[Account]:
    second_step = Authenticator.objects.filter(owner=OuterRef("pk"))
    return rows.annotate(has_second_step=Exists(second_step))


@requires(Right.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "HEAD", "POST"])
def new_person(request: HttpRequest) -> HttpResponse:
    """Make an account; its link or password is shown by this answer alone."""
    form = NewPersonForm(request.POST or None, servers=server_names())
    if not form.is_valid():
        status = UNPROCESSABLE if form.is_bound else 200
        return render(request, "people/person.html", {"form": form, "is_new": True}, status=status)
    account, secret = keeping.make_person(request, form.cleaned_data, form.limits())
    by_password = form.cleaned_data["first_login"] == PASSWORD
    context = {"account": account, "secret": secret, "by_password": by_password}
    return render(request, "people/first_login.html", context)


@requires(Right.MANAGE_ACCOUNTS)
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest, username: str) -> HttpResponse:
    """Show one person and change what the person may do; nobody changes the own rights."""
    account = get_object_or_404(_with_state(Account.objects), username=username)
    is_self = account.pk == request.user.pk
    told = {name: getattr(account, name) for name in ("first_name", "last_name", "email")}
    told |= {"groups": account.groups.all(), "needs_two_steps": account.needs_two_steps}
    form = PersonForm(
        request.POST if request.method == "POST" else None,
        servers=server_names(),
        initial=told | as_typed(account),
    )
    if form.is_valid() and not is_self:
        keeping.change_person(request, account, form.cleaned_data, form.limits())
        messages.success(request, _("Saved. It holds from the person's next click on."))
        return redirect("person", username)
    context = {
        "form": form,
        "account": account,
        "is_self": is_self,
        "failures": _failures(account),
        "sessions": account.open_sessions.count(),
        "tokens": account.api_tokens.order_by("-created_at"),
    }
    refused = form.is_bound and (is_self or not form.is_valid())
    return render(request, "people/person.html", context, status=UNPROCESSABLE if refused else 200)


def _failures(account: Account) -> int:
    since = timezone.now() - timedelta(seconds=config.LOCKOUT_S)
    lately = AccessAttempt.objects.filter(username=account.username, attempt_time__gte=since)
    return lately.aggregate(n=Sum("failures_since_start"))["n"] or 0


@requires(Right.MANAGE_ACCOUNTS)
@require_POST
def act(request: HttpRequest, username: str, act: str) -> HttpResponse:
    """Do one thing with an account: disable, enable, unlock, reset, end its logins."""
    account = get_object_or_404(Account, username=username)
    if act not in keeping.ACTS:
        raise Http404
    if account.pk == request.user.pk:
        messages.error(request, _("Somebody else of IT must do this with your own account."))
        return redirect("person", username)
    keeping.ACTS[act](account)
    keeping.tell(request, username, act.replace("-", " "))
    messages.success(request, _("Done."))
    return redirect("person", username)


@requires(Right.MANAGE_ACCOUNTS)
@require_POST
def new_link(request: HttpRequest, username: str) -> HttpResponse:
    """Show a new one-time link; the present password is good until it is used."""
    account = get_object_or_404(Account, username=username)
    if account.pk == request.user.pk:
        messages.info(request, _("Change your own password in your account."))
        return redirect("account-password")
    link = keeping.link_for(request, account)
    keeping.tell(request, username, "one-time link made")
    return render(request, "people/first_login.html", {"account": account, "secret": link})
