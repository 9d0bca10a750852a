"""Takes an exam, a series or an image along in a ZIP, streamed, in the form that is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from pacs_common.errors import BadQuery
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.federation.fan_out import Failure
from pacs_web.federation.opening import open_study
from pacs_web.federation.study import Study
from pacs_web.studies.download import medium, pictures, stored
from pacs_web.studies.download.archive import Entry, zipped
from pacs_web.studies.download.members import members_of, plain
from pacs_web.studies.views import clients_for

NOTE = "INCOMPLETE.TXT"
FORMS = {"stored": stored.entries, "medium": medium.entries, "pictures": pictures.entries}
NAMES = {"stored": "exam", "medium": "dicom", "pictures": "pictures"}


@requires(Right.DOWNLOAD)
@require_safe
def download(
    request: HttpRequest, study_uid: str, series_uid: str = "", instance_uid: str = ""
) -> HttpResponse | StreamingHttpResponse:
    """Stream the ZIP of an exam, one of its series, or one image, as `form` says.

    `stored` (the files as they are), `medium` (a file-set with DICOMDIR) or `pictures`. Raises
    NotOnline before anything is sent where a file is in the archive; a node that breaks off
    later breaks the download, so that nobody takes half an exam for a whole. An exam that a
    silent node may hold more of is called incomplete, in its name and inside.
    """
    form = request.GET.get("form", "stored")
    if form not in FORMS:
        raise BadQuery(f"form must be one of {', '.join(FORMS)}, not {form[:20]!r}")
    opened = open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
    chosen = [opened.one_series(series_uid)] if series_uid else opened.series
    members = members_of(request, opened, chosen, instance_uid)
    missing = [] if series_uid else opened.failures
    name = _zip_name(NAMES[form], opened.study, incomplete=bool(missing))
    headers = {
        "Content-Type": "application/zip",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    if request.method == "HEAD":
        return HttpResponse(headers=headers)
    exam = opened.study
    record(
        request,
        Action.DOWNLOAD,
        study_uid=study_uid,
        patient=(exam.issuer, exam.patient_id),
        form=form,
        series=series_uid,
        instance=instance_uid,
        files=len(members),
    )
    entries = _noted(missing, FORMS[form](members))
    return StreamingHttpResponse(zipped(entries), headers=headers)


def _zip_name(form: str, exam: Study, *, incomplete: bool) -> str:
    day = plain(exam.date) or "undated"
    modalities = [written for one in exam.modalities if (written := plain(one))]
    mark = "-INCOMPLETE" if incomplete else ""
    return f"{form}-{day}-{'-'.join(modalities[:8]) or 'DICOM'}{mark}.zip"


def _noted(missing: list[Failure], entries: Iterator[Entry]) -> Iterator[Entry]:
    """Put the note on silent servers behind the first file, which must be the first asked for."""
    yield next(entries)
    if missing:
        names = ", ".join(failure.node for failure in missing)
        said = _("These servers did not answer and may hold more of this exam: %(names)s.")
        yield NOTE, [(said % {"names": names} + "\r\n").encode()]
    yield from entries
