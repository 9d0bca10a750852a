"""Breaking the glass: an exam beyond the person's limits, for a time, with a reason."""

from __future__ import annotations

from datetime import timedelta

from django import forms
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_web import config
from pacs_web.accounts import exams
from pacs_web.accounts.guard import requires
from pacs_web.accounts.models import BrokenGlass
from pacs_web.accounts.policy import Decision
from pacs_web.accounts.rights import Right
from pacs_web.accounts.signals import glass_broken

ROWS_A_PAGE = 50
UNPROCESSABLE = 422


class ReasonForm(forms.Form):
    """Why the exam must be seen now."""

    reason = forms.CharField(
        label=_("Reason"),
        min_length=8,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
    )


@requires(Right.BREAK_GLASS, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def break_glass(request: HttpRequest, study_uid: str) -> HttpResponse:
    """Ask for the reason; with one, open the study to this person for PACS_BREAK_GLASS_S."""
    page = _page_after(request, study_uid)
    closed = exams.first_closed(request, Right.VIEW, [study_uid])
    if closed is None:
        return redirect(page)
    if closed[1] is Decision.DENIED:
        raise PermissionDenied(Right.VIEW)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        context = {"form": form, "study_uid": study_uid, "next": page}
        status = UNPROCESSABLE if form.is_bound else 200
        return render(request, "accounts/glass.html", context, status=status)
    until = timezone.now() + timedelta(seconds=config.BREAK_GLASS_S)
    reason = form.cleaned_data["reason"]
    BrokenGlass.objects.create(
        account=request.user,
        study_uid=study_uid,
        reason=reason,
        until=until,
        address=request.META.get("REMOTE_ADDR") or None,
    )
    glass_broken.send(BrokenGlass, request=request, study_uid=study_uid, reason=reason, until=until)
    return redirect(page)


def _page_after(request: HttpRequest, study_uid: str) -> str:
    asked = request.POST.get("next") or request.GET.get("next") or ""
    here = url_has_allowed_host_and_scheme(asked, {request.get_host()})
    is_page = asked.startswith("/") and asked != "/"
    return asked if here and is_page else f"/studies/{study_uid}/"


@requires(Right.AUDIT, exam=False)
@require_safe
def broken_glass(request: HttpRequest) -> HttpResponse:
    """List who opened which exam across the limits and why; what nobody reviewed, or all."""
    rows = BrokenGlass.objects.select_related("account").order_by("-at")
    waiting = rows.filter(reviewed_at=None).count()
    if request.GET.get("show") != "all":
        rows = rows.filter(reviewed_at=None)
    page = Paginator(rows, ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "all": request.GET.get("show") == "all", "waiting": waiting}
    return render(request, "accounts/broken_glass.html", context)


@requires(Right.AUDIT, exam=False)
@require_POST
def review(request: HttpRequest, glass_id: int) -> HttpResponse:
    """Note that somebody other than the person looked at one of them."""
    rows = BrokenGlass.objects.filter(pk=glass_id, reviewed_at=None).exclude(account=request.user)
    rows.update(reviewed_at=timezone.now(), reviewed_by=request.user.get_username())
    return redirect("broken-glass")
