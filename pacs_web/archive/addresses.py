"""The addresses of the archive's pages."""

from __future__ import annotations

from django.urls import path

from pacs_web.archive import (
    act_pages,
    alarm_pages,
    evictions,
    hold_pages,
    job_pages,
    mount_pages,
    recall_pages,
    rule_pages,
    schedule,
    views,
    volume_pages,
    watermarks,
)

JOB = "archive/jobs/<int:job_id>/"
VOLUME = "archive/volumes/<slug:vault>/<str:label>/"
RULE = "archive/rules/<int:rule_id>/"
WINDOW = "archive/schedule/<int:window_id>/"
EVICTION = "archive/evictions/<int:list_id>/"

ADDRESSES = [
    path("archive/", views.archive, name="archive"),
    path("archive/alarms/", alarm_pages.alarms, name="archive-alarms"),
    path("archive/alarms/<int:alarm_id>/", alarm_pages.acknowledge, name="archive-alarm"),
    path("archive/jobs/", job_pages.jobs, name="archive-jobs"),
    path("archive/jobs/act/", job_pages.act_on_many, name="archive-jobs-act"),
    path(JOB, job_pages.job, name="archive-job"),
    path(f"{JOB}<slug:job_action>/", job_pages.act, name="archive-job-act"),
    path("archive/recalls/", recall_pages.recalls, name="archive-recalls"),
    path("archive/volumes/", volume_pages.volumes, name="archive-volumes"),
    path(VOLUME, volume_pages.volume, name="archive-volume"),
    path(f"{VOLUME}label/", volume_pages.label, name="archive-label"),
    path(f"{VOLUME}insert/", volume_pages.insert, name="archive-insert"),
    path(f"{VOLUME}<slug:volume_action>/", volume_pages.act, name="archive-volume-act"),
    path("archive/mounts/", mount_pages.mounts, name="archive-mounts"),
    path("archive/evictions/", evictions.evictions, name="archive-evictions"),
    path(EVICTION, evictions.eviction, name="archive-eviction"),
    path(f"{EVICTION}<slug:decision>/", evictions.decide, name="archive-decide"),
    path("archive/rules/", rule_pages.rules, name="archive-rules"),
    path("archive/rules/new/", rule_pages.rule, name="archive-rule-new"),
    path(RULE, rule_pages.rule, name="archive-rule"),
    path(f"{RULE}<slug:rule_action>/", rule_pages.act, name="archive-rule-act"),
    path("archive/holds/", hold_pages.holds, name="archive-holds"),
    path("archive/holds/<int:hold_id>/release/", hold_pages.release, name="archive-release"),
    path("archive/watermarks/", watermarks.watermarks, name="archive-watermarks"),
    path("archive/schedule/", schedule.schedule, name="archive-schedule"),
    path(WINDOW, schedule.schedule, name="archive-window"),
    path(f"{WINDOW}remove/", schedule.remove, name="archive-window-remove"),
    path("archive/acts/", act_pages.acts, name="archive-acts"),
]
