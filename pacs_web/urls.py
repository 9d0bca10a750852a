"""The portal's addresses; UIDs in them are checked before a view sees them."""

from __future__ import annotations

from django.urls import path, register_converter
from django.views.i18n import set_language

from pacs_common.errors import BadInput
from pacs_common.uids import Uid
from pacs_web import figures, pages
from pacs_web.accounts.glass import break_glass, broken_glass, review
from pacs_web.accounts.introspection import introspect
from pacs_web.accounts.login import Login, Logout, second_step
from pacs_web.accounts.outside import openid
from pacs_web.accounts.pages import own, password, session, token, two_steps
from pacs_web.archive.addresses import ADDRESSES as ARCHIVE
from pacs_web.archive.recall import recall
from pacs_web.arrivals import lost, quarantine, rejections, sending_on
from pacs_web.arrivals import views as arrived
from pacs_web.arrivals.attaching.views import attach
from pacs_web.arrivals.importing import views as importing
from pacs_web.audit.report_views import patient_report, person_report
from pacs_web.audit.views import audit, export
from pacs_web.correcting import views as correcting
from pacs_web.correcting.confirming import confirm
from pacs_web.dicomweb.door import dicomweb
from pacs_web.full_viewer.views import alive, file, page
from pacs_web.nodes import (
    certificates,
    console,
    forwarding_console,
    log_console,
    peers_console,
    placing_console,
    work_console,
)
from pacs_web.nodes.fetch_panel import fetch
from pacs_web.nodes.views import servers, servers_live
from pacs_web.people import groups
from pacs_web.people import views as people
from pacs_web.people.welcome import Welcome
from pacs_web.studies import saved
from pacs_web.studies.download.views import download
from pacs_web.studies.live import live as search_live
from pacs_web.studies.search import search
from pacs_web.studies.timeline import timeline
from pacs_web.studies.together import together
from pacs_web.studies.views import study
from pacs_web.viewer.documents import content, document
from pacs_web.viewer.facts import companions, exams, pictures, series_of_study
from pacs_web.viewer.pixels import rendered, thumbnail
from pacs_web.viewer.views import header, image, series


class UidConverter:
    """A path-safe DICOM UID."""

    regex = "[0-9.]{1,64}"

    def to_python(self, value: str) -> Uid:
        """Return the UID; ValueError (so 404) where it is not one."""
        try:
            return Uid.parse(value)
        except BadInput as error:
            raise ValueError(str(error)) from None

    def to_url(self, value: str) -> str:
        """Return the UID as it stands in an address."""
        return str(value)


register_converter(UidConverter, "uid")

STUDY = "studies/<uid:study_uid>/"
SERIES = f"{STUDY}series/<uid:series_uid>/"
INSTANCE = f"{SERIES}instances/<uid:instance_uid>/"
NODE = "admin-console/nodes/<slug:name>/"
FORWARDING_RETRY = "admin-console/forwarding/<slug:node>/retry/"
PEERS = "admin-console/peers/<slug:node>/"
PEOPLE = "admin-console/accounts/"
PERSON = f"{PEOPLE}people/<str:username>/"
QUARANTINED = "arrivals/quarantine/<slug:node>/<int:row_id>/"
IMPORT = "arrivals/import/<slug:import_id>/"
REJECTION = "arrivals/rejections/<slug:node>/<uid:note_uid>/"

urlpatterns = [
    path("", search, name="search"),
    path("search/live/", search_live, name="search-live"),
    path("search/saved/", saved.save, name="search-save"),
    path("search/saved/<int:saved_id>/", saved.reopen, name="search-reopen"),
    path("search/saved/<int:saved_id>/remove/", saved.remove, name="search-remove"),
    path("login/", Login.as_view(), name="login"),
    path("login/code/", second_step, name="login-code"),
    path("login/openid/", openid.begin, name="openid"),
    path("login/openid/back/", openid.finish, name="openid-back"),
    path("welcome/<str:uidb64>/<str:token>/", Welcome.as_view(), name="welcome"),
    path("logout/", Logout.as_view(), name="logout"),
    path("language/", set_language, name="language"),
    path("session/", session.left, name="session-left"),
    path("account/", own.overview, name="account"),
    path("account/log-out-everywhere/", own.log_out_everywhere, name="account-everywhere"),
    path("account/password/", password.change, name="account-password"),
    path("account/two-steps/", two_steps.second_step, name="account-two-steps"),
    path("account/two-steps/remove/", two_steps.remove, name="account-two-steps-remove"),
    path("account/two-steps/codes/", two_steps.renew, name="account-two-steps-codes"),
    path("account/tokens/", token.tokens_page, name="account-tokens"),
    path("account/tokens/<int:token_id>/revoke/", token.revoke, name="account-token-revoke"),
    path("servers/", servers, name="servers"),
    path("servers/live/", servers_live, name="servers-live"),
    path("admin-console/", console.front, name="console"),
    path("admin-console/nodes/", console.nodes, name="nodes"),
    path("admin-console/new-node/<slug:server_kind>/", console.new_node, name="node-new"),
    path("admin-console/new-exams/", placing_console.rules, name="placing"),
    path("admin-console/new-exams/<int:rule_id>/", placing_console.rule, name="placing-rule"),
    path("admin-console/new-exams/<int:rule_id>/act/", placing_console.act, name="placing-act"),
    path("admin-console/certificates/", certificates.certificates, name="certificates"),
    path("admin-console/work/", work_console.work, name="work"),
    path("admin-console/work/live/", work_console.work_live, name="work-live"),
    path("admin-console/log/", log_console.log, name="log"),
    path("admin-console/log/live/", log_console.log_live, name="log-live"),
    path("admin-console/forwarding/", forwarding_console.forwarding, name="forwarding"),
    path(FORWARDING_RETRY, forwarding_console.retry, name="forwarding-retry"),
    path("admin-console/peers/", peers_console.peers, name="peers"),
    path(f"{PEERS}peer/", peers_console.peer, name="peer"),
    path(f"{PEERS}remove/", peers_console.remove_peer, name="peer-remove"),
    path(f"{PEERS}test/", peers_console.echo_peer, name="peer-echo"),
    path(f"{PEERS}callers/<int:caller_id>/", peers_console.decide_caller, name="caller-decide"),
    path(NODE, console.node, name="node"),
    path(f"{NODE}test/", console.test_node, name="node-test"),
    path(f"{NODE}move/", console.move_node, name="node-move"),
    path(f"{NODE}enable/", console.enable_node, name="node-enable"),
    path(f"{NODE}remove/", console.remove_node, name="node-remove"),
    path(PEOPLE, people.people, name="people"),
    path(f"{PEOPLE}new/", people.new_person, name="person-new"),
    path(PERSON, people.person, name="person"),
    path(f"{PERSON}link/", people.new_link, name="person-link"),
    path(f"{PERSON}<slug:act>/", people.act, name="person-act"),
    path(f"{PEOPLE}groups/", groups.groups, name="groups"),
    path(f"{PEOPLE}groups/new/", groups.new_group, name="group-new"),
    path(f"{PEOPLE}groups/<str:group_name>/", groups.group, name="group"),
    path(f"{PEOPLE}without-department/", groups.server_rules, name="server-rules"),
    *ARCHIVE,
    path("arrivals/", arrived.arrivals, name="arrivals"),
    path("arrivals/live/", arrived.arrivals_live, name="arrivals-live"),
    path("arrivals/transfers/", arrived.transfers, name="transfers"),
    path("arrivals/transfers/live/", arrived.transfers_live, name="transfers-live"),
    path("arrivals/lost/", lost.lost, name="lost"),
    path("arrivals/quarantine/", quarantine.quarantine, name="quarantine"),
    path("arrivals/import/", importing.start, name="import"),
    path("arrivals/import/begin/", importing.begin, name="import-begin"),
    path(IMPORT, importing.review, name="import-review"),
    path(f"{IMPORT}file/", importing.file, name="import-file"),
    path(f"{IMPORT}patients/<int:number>/", importing.candidates, name="import-candidates"),
    path(f"{IMPORT}progress/", importing.progress, name="import-progress"),
    path(f"{IMPORT}send/", importing.send, name="import-send"),
    path("arrivals/rejections/", rejections.rejections, name="rejections"),
    path(REJECTION, rejections.rejection, name="rejection"),
    path(f"{REJECTION}decide/", rejections.decide, name="rejection-decide"),
    path(QUARANTINED, quarantine.quarantined, name="quarantined"),
    path(f"{QUARANTINED}picture", quarantine.quarantined_picture, name="quarantined-picture"),
    path(f"{QUARANTINED}decide/", quarantine.decide, name="quarantine-decide"),
    path("audit/", audit, name="audit"),
    path("audit/export.csv", export, name="audit-export"),
    path("audit/patient/", patient_report, name="audit-patient"),
    path("audit/person/", person_report, name="audit-person"),
    path("audit/broken-glass/", broken_glass, name="broken-glass"),
    path("audit/broken-glass/<int:glass_id>/review/", review, name="glass-review"),
    path("together/", together, name="together"),
    path(STUDY, study, name="study"),
    path(f"{STUDY}download/", download, name="study-download"),
    path(f"{STUDY}timeline/", timeline, name="timeline"),
    path(f"{STUDY}reject/", rejections.reject, name="study-reject"),
    path(f"{STUDY}attach/", attach, name="study-attach"),
    path(f"{STUDY}send/", sending_on.send, name="study-send"),
    path(f"{STUDY}send/live/", sending_on.send_live, name="study-send-live"),
    path(f"{STUDY}recall/", recall, name="study-recall"),
    path(f"{STUDY}fetch/", fetch, name="study-fetch"),
    path(f"{STUDY}break-glass/", break_glass, name="break-glass"),
    path(f"{STUDY}correct/", correcting.correct, name="correct"),
    path(f"{STUDY}correct/undo/", correcting.undo, name="correction-undo"),
    path(f"{STUDY}correct/right/", confirm, name="patient-is-right"),
    path(f"{STUDY}correct/resend/", correcting.resend, name="correction-resend"),
    path(f"{STUDY}corrections/", correcting.mark, name="corrections"),
    path(f"{STUDY}companions/", companions, name="companions"),
    path(f"{STUDY}exams/", exams, name="exams"),
    path(f"{STUDY}series/", series_of_study, name="study-series"),
    path(SERIES, series, name="series"),
    path(f"{SERIES}pictures/", pictures, name="pictures"),
    path(f"{SERIES}download/", download, name="series-download"),
    path(f"{SERIES}thumbnail", thumbnail, name="series-thumbnail"),
    path(INSTANCE, image, name="image"),
    path(f"{INSTANCE}reject/", rejections.reject, name="image-reject"),
    path(f"{INSTANCE}header/", header, name="header"),
    path(f"{INSTANCE}download/", download, name="image-download"),
    path(f"{INSTANCE}document/", document, name="document"),
    path(f"{INSTANCE}content/<str:kind>", content, name="content"),
    path(f"{INSTANCE}thumbnail", thumbnail, name="image-thumbnail"),
    path(f"{INSTANCE}rendered", rendered, name="rendered"),
    path(f"{INSTANCE}frames/<int:frame>/rendered", rendered, name="frame-rendered"),
    path("dicom-web/", dicomweb, name="dicomweb-root"),
    path("dicom-web/<path:path>", dicomweb, name="dicomweb"),
    path("viewer/", page, name="viewer"),
    path("viewer/alive", alive, name="viewer-alive"),
    path("viewer/files/<str:release>/<path:path>", file, name="viewer-file"),
    path("viewer/<path:place>", page, name="viewer-place"),
    path("api/introspect", introspect, name="introspect"),
    path("healthz", pages.healthz, name="healthz"),
    path("readyz", pages.readyz, name="readyz"),
    path("metrics", figures.metrics, name="metrics"),
]

handler400 = "pacs_web.middleware.unreadable"
handler403 = pages.forbidden
handler404 = "pacs_web.middleware.nowhere"
handler500 = pages.broken
