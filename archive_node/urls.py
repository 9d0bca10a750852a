"""The archive's addresses: docs/interfaces.md, chapter Archive."""

from django.urls import path

from archive_node.api import (
    alarms,
    audit,
    evictions,
    figures,
    growth,
    holds,
    jobs,
    log,
    monitor,
    mount_requests,
    policy,
    rules,
    status,
    volumes,
    windows,
)

urlpatterns = [
    path("api/status", status.status),
    path("api/growth", growth.growth),
    path("api/acts", audit.acts),
    path("api/rules", rules.rules),
    path("api/rules/try", rules.tried),
    path("api/rules/<int:rule_id>", rules.rule),
    path("api/holds", holds.holds),
    path("api/holds/<int:hold_id>/release", holds.release),
    path("api/nodes/<str:name>/policy", policy.of_node),
    path("api/evictions", evictions.lists),
    path("api/evictions/<int:list_id>", evictions.one),
    path("api/evictions/<int:list_id>/approve", evictions.approve),
    path("api/evictions/<int:list_id>/refuse", evictions.refuse),
    path("api/alarms", alarms.alarms),
    path("api/alarms/<int:alarm_id>/acknowledge", alarms.acknowledge),
    path("api/jobs", jobs.jobs),
    path("api/jobs/<int:job_id>", jobs.job),
    path("api/jobs/<int:job_id>/<str:action>", jobs.act),
    path("api/jobs/actions", jobs.act_on_many),
    path("api/volumes", volumes.volumes),
    path("api/volumes/<str:vault>/<str:label>", volumes.volume),
    path("api/volumes/<str:vault>/<str:label>/<str:action>", volumes.act),
    path("api/mount-requests", mount_requests.requests),
    path("api/mount-requests/<int:request_id>/confirm", mount_requests.confirm),
    path("api/windows", windows.windows),
    path("api/windows/<int:window_id>", windows.window),
    path("api/studies/<str:study_uid>", volumes.study),
    path("api/audit/lines", audit.lines),
    path("api/log", log.lines),
    path("healthz", monitor.healthz),
    path("readyz", monitor.readyz),
    path("metrics", figures.metrics),
]
handler400 = "archive_node.api.guard.bad_request"
handler404 = "archive_node.api.guard.no_such_page"
handler500 = "archive_node.api.guard.broken"
