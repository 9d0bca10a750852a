"""When jobs may run: the week's grid, and windows that are made, changed and removed."""

from __future__ import annotations

from typing import Any

from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from pacs_web.archive.week import DAY_MINUTES, Span, lanes_of, spans_of
from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import Archive

PAGE = "/archive/schedule/"
NIGHTS: dict[str, Any] = {
    "id": 1, "kind": "copy", "vault": "", "node": "", "weekdays": "04", "begins": "20:00",
    "ends": "06:00", "bytes_per_s": 40_000_000, "enabled": True,
}  # fmt: skip
FILLED = {
    "kind": "scrub", "vault": "vault-1", "node": "", "weekdays": ["6", "5"], "begins": "08:30",
    "ends": "20:00", "mb_per_s": "12.5", "enabled": "on",
}  # fmt: skip
TIMES = st.times().map(lambda time: time.strftime("%H:%M"))
WINDOWS = st.fixed_dictionaries(
    {"weekdays": st.text("0123456", max_size=7), "begins": TIMES, "ends": TIMES}
)


class TestWeek:
    def test_a_window_over_midnight_goes_on_the_next_day(self) -> None:
        assert spans_of(NIGHTS) == [
            Span(0, 1200, DAY_MINUTES),
            Span(1, 0, 360),
            Span(4, 1200, DAY_MINUTES),
            Span(5, 0, 360),
        ]

    def test_sunday_night_goes_on_on_monday(self) -> None:
        assert Span(0, 0, 360) in spans_of(NIGHTS | {"weekdays": "6"})

    def test_a_window_from_midnight_to_midnight_is_the_whole_day(self) -> None:
        day = {"weekdays": "2", "begins": "00:00:00", "ends": "00:00:00"}
        assert spans_of(day) == [Span(2, 0, DAY_MINUTES)]

    @given(WINDOWS)
    def test_pieces_last_as_long_as_their_window(self, window: dict[str, str]) -> None:
        spans = spans_of(window)
        assert all(0 <= one.begins < one.ends <= DAY_MINUTES for one in spans)
        begins, ends = (
            int(window[one][:2]) * 60 + int(window[one][3:5]) for one in ("begins", "ends")
        )
        each = (ends - begins) % DAY_MINUTES or DAY_MINUTES
        assert sum(one.ends - one.begins for one in spans) == each * len(set(window["weekdays"]))

    @given(st.lists(WINDOWS, max_size=6))
    def test_windows_of_one_lane_never_meet(self, windows: list[dict[str, str]]) -> None:
        taken: set[tuple[int, int, int]] = set()
        for window, lane in zip(windows, lanes_of(windows), strict=True):
            minutes = {
                (lane, one.day, minute)
                for one in spans_of(window)
                for minute in range(one.begins, one.ends)
            }
            same_window_twice = len(minutes) != sum(
                one.ends - one.begins for one in spans_of(window)
            )
            assert same_window_twice or not minutes & taken
            taken |= minutes


class TestPage:
    def test_draws_the_week_and_lists_the_windows(self, archive: Archive, operator: Client) -> None:
        archive.policy.windows.append(dict(NIGHTS))
        page = " ".join(operator.get(PAGE).content.decode().split())
        assert '<rect class="window copy" x="1200" y="1" width="240"' in page
        assert '<rect class="window copy" x="0" y="1" width="360"' in page
        for shown in ("Monday, Friday", "over midnight", "40.0 MB/s"):
            assert shown in page

    def test_a_window_that_is_out_of_force_is_listed_and_not_drawn(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.policy.windows.append(NIGHTS | {"enabled": False})
        page = operator.get(PAGE).content.decode()
        assert "out of force" in page
        assert "window copy" not in page

    def test_a_window_is_made_and_audited(self, archive: Archive, operator: Client) -> None:
        page = operator.post(PAGE, FILLED, follow=True).content.decode()
        assert "The window is saved." in page
        assert archive.policy.windows == [
            {
                "id": 1, "kind": "scrub", "vault": "vault-1", "node": "", "weekdays": "56",
                "begins": "08:30", "ends": "20:00", "bytes_per_s": 12_500_000, "enabled": True,
            }
        ]  # fmt: skip
        row = AuditEvent.objects.get(action="configure")
        assert (row.detail["what"], row.detail["act"]) == ("archive window", "add")

    def test_a_window_is_changed(self, archive: Archive, operator: Client) -> None:
        archive.policy.windows.append(dict(NIGHTS))
        assert 'value="20:00"' in operator.get(f"{PAGE}1/").content.decode()
        operator.post(f"{PAGE}1/", FILLED)
        assert archive.policy.windows[0]["begins"] == "08:30"
        assert operator.get(f"{PAGE}9/").status_code == 404

    def test_nonsense_is_named(self, archive: Archive, operator: Client) -> None:
        said = {"begins": "25:00", "ends": "", "mb_per_s": "0", "kind": "fly"}
        answer = operator.post(PAGE, said)
        assert answer.status_code == 422
        page = answer.content.decode()
        for field in ("begins", "ends", "mb_per_s", "kind"):
            assert f"id_{field}_error" in page
        assert not archive.policy.windows

    def test_a_window_is_removed_after_a_question(self, archive: Archive, operator: Client) -> None:
        archive.policy.windows.append(dict(NIGHTS))
        asked = operator.get(f"{PAGE}1/remove/").content.decode()
        assert "may then run at any time" in asked
        operator.post(f"{PAGE}1/remove/")
        assert not archive.policy.windows
