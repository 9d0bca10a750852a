"""Import of media: take the files, show whose they are, ask, and pass them on."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.errors import ArgensError, BadInput, TooLarge
from pacs_web.accounts.guard import problem_response, requires
from pacs_web.accounts.rights import Right
from pacs_web.arrivals.importing.patients import on_medium, plan_of
from pacs_web.arrivals.importing.reading import LeftOut, identity_of
from pacs_web.arrivals.importing.sending import Sending
from pacs_web.arrivals.importing.spool import Import
from pacs_web.arrivals.importing.zips import Unpacked, is_zip
from pacs_web.arrivals.side_by_side import facts_of
from pacs_web.correcting.patients import found
from pacs_web.dicomweb.body import chunks
from pacs_web.nodes.registry import clients

UNPROCESSABLE = 422
MAX_NAME_CHARS = 300
IDENTITY = ("patient_name", "patient_id", "issuer", "birth_date", "sex")


@requires(Right.UPLOAD)
@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """Show where files are dropped."""
    return render(request, "arrivals/import.html")


@requires(Right.UPLOAD)
@require_POST
def begin(request: HttpRequest) -> JsonResponse:
    """Open a folder for an import."""
    one = Import.begin(request.user.get_username())
    return JsonResponse({"url": reverse("import-review", args=[one.id])})


@requires(Right.UPLOAD)
@require_POST
def file(request: HttpRequest, import_id: str) -> HttpResponse:
    """Take one file, or a ZIP of them, from the body's stream."""
    name = unquote(request.headers.get("X-Name", ""))[:MAX_NAME_CHARS]
    try:
        one = Import.opened(import_id, request.user.get_username())
        if one.plan is not None:
            raise BadInput("this import is confirmed already")
        path = one.receive(chunks(request))
        try:
            taken = _unpacked(one, path, name) if is_zip(path) else [_looked_at(one, path, name)]
        finally:
            path.unlink(missing_ok=True)
    except ArgensError as error:
        return problem_response(error)
    kept = sum("file" in told for told in taken)
    return JsonResponse({"kept": kept, "left_out": len(taken) - kept})


@requires(Right.UPLOAD)
@require_http_methods(["GET", "HEAD", "POST"])
def review(request: HttpRequest, import_id: str) -> HttpResponse:
    """Show whose exams a medium holds; POST confirms."""
    one = Import.opened(import_id, request.user.get_username())
    if one.plan is not None:
        return redirect("import-progress", import_id)
    patients = on_medium(one)
    status = 200
    if request.method == "POST":
        try:
            may_choose = request.user.has_right(Right.CORRECT)
            one.confirm(plan_of(patients, request.POST, may_choose=may_choose))
            return redirect("import-progress", import_id)
        except BadInput as error:
            messages.error(request, str(error))
            status = UNPROCESSABLE
    left_out = [told for told in one.files() if "file" not in told]
    context = {"one": one, "patients": patients, "left_out": left_out, "said": request.POST}
    return render(request, "arrivals/import_review.html", context, status=status)


@requires(Right.UPLOAD)
@require_POST
def candidates(request: HttpRequest, import_id: str, number: int) -> HttpResponse:
    """Show the patients here who may be one of the medium, each beside it."""
    one = Import.opened(import_id, request.user.get_username())
    patient = next((p for p in on_medium(one) if p.number == number), None)
    sought = " ".join(request.POST.get(f"find-{number}", "").split())[:64]
    if patient is None or not sought or not request.user.has_right(Right.CORRECT):
        return HttpResponse()
    servers = clients(request.user.get_username())
    has_digit = any(letter.isdigit() for letter in sought)
    query = {"PatientID": sought} if has_digit else {"PatientName": f"{sought}*"}
    known, failures = found(servers, query)
    on_it = {name: patient.facts[name] for name in IDENTITY}
    rows = [(one, facts_of(on_it, _facts(one.study))) for one in known]
    context = {"rows": rows, "failures": failures, "number": number}
    return render(request, "arrivals/import_candidates.html", context)


@requires(Right.UPLOAD)
@require_safe
def progress(request: HttpRequest, import_id: str) -> HttpResponse:
    """Show how far an import is, and what became of each file that was not stored."""
    one = Import.opened(import_id, request.user.get_username())
    results = one.results()
    outcomes = [told["outcome"] for told in results if told.get("outcome")]
    whys = {told["identified"]: told["why"] for told in results if told.get("identified")}
    exams = [{**told, "why": whys.get(told["exam"], "")} for told in results if told.get("exam")]
    context = {
        "one": one,
        "done": any(told.get("told") for told in results),
        "total": sum("file" in told for told in one.files()),
        "stored": outcomes.count("stored"),
        "exams": exams,
        "troubled": [told for told in results if told.get("outcome") in ("failed", "quarantined")],
        "left_out": [told for told in one.files() if "file" not in told],
    }
    return render(request, "arrivals/import_progress.html", context)


@requires(Right.UPLOAD)
@require_POST
def send(request: HttpRequest, import_id: str) -> HttpResponse:
    """Pass on files for a while; the page asks until all are sent."""
    try:
        one = Import.opened(import_id, request.user.get_username())
        if one.plan is None:
            raise BadInput("nothing is confirmed yet")
        return JsonResponse(Sending(request, one, one.plan).go_on())
    except ArgensError as error:
        return problem_response(error)


def _unpacked(one: Import, path: Any, name: str) -> list[dict[str, Any]]:
    taken = []
    with Unpacked(path) as archive:
        for entry in archive.entries:
            inner = f"{name}/{entry.filename}"[-MAX_NAME_CHARS:]
            try:
                piece = one.receive(archive.content(entry))
            except TooLarge:
                raise
            except BadInput as error:
                taken.append(one.note({"name": inner, "why": str(error)}))
                continue
            taken.append(_looked_at(one, piece, inner))
    return taken


def _looked_at(one: Import, path: Any, name: str) -> dict[str, Any]:
    try:
        return one.keep(path, {**identity_of(path), "name": name})
    except LeftOut as why:
        path.unlink(missing_ok=True)
        return one.note({"name": name, "why": str(why)})


def _facts(study: Any) -> dict[str, str]:
    return {name: getattr(study, name) for name in IDENTITY}
