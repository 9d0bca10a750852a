"""Every verb of Python's dicomweb-client, unmodified, at a node and at the portal before it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from requests.exceptions import HTTPError

from pacs_common.tickets import TicketIssuer
from tests.support import roles
from tests.support.data_sets import ct
from tests.support.stow import as_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
SCOPES = ["dicomweb", "dicomweb.store", "dicomweb.delete"]
ROOT = "1.2.826.0.1.3680043.10.1361.7"
PRIVATE = bytes(range(256)) * 64
VERBS = {
    *("delete_instance", "delete_series", "delete_study", "iter_bulkdata", "iter_instance_frames"),
    *("iter_series", "iter_study", "lookup_keyword", "lookup_tag", "retrieve_bulkdata"),
    *("retrieve_instance", "retrieve_instance_frames", "retrieve_instance_frames_rendered"),
    *("retrieve_instance_metadata", "retrieve_instance_rendered", "retrieve_series"),
    *("retrieve_series_metadata", "retrieve_series_rendered", "retrieve_study"),
    *("retrieve_study_metadata", "search_for_instances", "search_for_series"),
    *("search_for_studies", "set_chunk_size", "set_http_retry_params", "store_instances"),
}


@dataclass
class Place:
    """A client of a node or of the portal, and the study that it has stored there."""

    client: DICOMwebClient
    url: str
    study: str
    sent: list[Dataset]

    @property
    def series(self) -> str:
        """The only series."""
        return f"{self.study}.1"

    @property
    def image(self) -> tuple[str, str, str]:
        """The UIDs of the first slice."""
        return self.study, self.series, f"{self.series}.1"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, str]]]:
    """The address and the bearer of each: a ticket for the node, an API token for the portal."""
    folder = tmp_path_factory.mktemp("verbs")
    node = roles.node(folder)
    portal = roles.portal(folder, {"CT": node}, "")
    portal.env.pop("PACS_ARCHIVE_URL")
    with roles.running(node, portal):
        signer = TicketIssuer.at("portal", folder / "portal" / "portal.key.pem", folder / "trust")
        ticket = signer.issue("CT", SCOPES, subject="tester", lifetime_s=600)
        token = roles.accounts(folder)["technologist"]["token"]
        yield {"node": (node.url, ticket), "portal": (portal.url, token)}


@pytest.fixture(scope="module", params=["node", "portal"])
def place(request: pytest.FixtureRequest, addresses: dict[str, tuple[str, str]]) -> Place:
    url, bearer = addresses[request.param]
    url += "/dicom-web"
    client = DICOMwebClient(url, headers={"Authorization": f"Bearer {bearer}"})
    study = f"{ROOT}.{1 + ['node', 'portal'].index(request.param)}"
    made = [sliced(study, number) for number in (1, 2, 3)]
    answer = client.store_instances(made)
    assert len(answer.ReferencedSOPSequence) == len(made)
    return Place(client, url, study, made)


def sliced(study: str, number: int) -> Dataset:
    ds = ct(number, study=study, series=f"{study}.1", PatientID=f"FR-{study[-1]}")
    ds.add_new(0x00090010, "LO", "ARGENS TESTS")
    ds.add_new(0x00091010, "OB", PRIVATE)
    return dcmread(io.BytesIO(as_file(ds)))


def test_no_verb_is_left_out():
    offered = {name for name in dir(DICOMwebClient) if not name.startswith("_")}
    assert {name for name in offered if callable(getattr(DICOMwebClient, name))} == VERBS
    here = Path(__file__).read_text().partition("def test_no_verb")[2]
    assert {verb for verb in VERBS if f".{verb}(" not in here} == set()


def test_searches_at_every_level(place: Place):
    place.client.set_chunk_size(10**6)
    place.client.set_http_retry_params(retry=False)
    asked = {"PatientID": f"FR-{place.study[-1]}"}
    (study,) = place.client.search_for_studies(search_filters=asked, fields=["StudyDescription"])
    assert study["0020000D"]["Value"] == [place.study]
    assert study["00081030"]["Value"] == ["TDM cérébrale"]
    (series,) = place.client.search_for_series(place.study)
    assert series["0020000E"]["Value"] == [place.series]
    tag = place.client.lookup_tag("InstanceNumber")
    assert place.client.lookup_keyword(tag) == "InstanceNumber"
    found = place.client.search_for_instances(place.study, place.series, limit=2)
    assert [one[tag]["Value"] for one in found] == [[1], [2]]
    (third,) = place.client.search_for_instances(place.study, search_filters={tag: "3"})
    assert third["00080018"]["Value"] == [f"{place.series}.3"]


def test_objects_come_back_as_they_went(place: Place):
    series = place.client.retrieve_series(place.study, place.series)
    for found in (
        place.client.retrieve_study(place.study),
        list(place.client.iter_study(place.study)),
        series,
        list(place.client.iter_series(place.study, place.series)),
    ):
        assert [Dataset(ds) for ds in found] == [Dataset(ds) for ds in place.sent]
    one = place.client.retrieve_instance(*place.image)
    assert Dataset(one) == Dataset(place.sent[0])


def test_metadata_come_at_every_level(place: Place):
    of_study = place.client.retrieve_study_metadata(place.study)
    assert of_study == place.client.retrieve_series_metadata(place.study, place.series)
    assert of_study[0] == place.client.retrieve_instance_metadata(*place.image)
    read = Dataset.from_json(of_study[0], lambda *_: b"")
    assert read.PatientName == "Lefèvre^Hélène"


def test_bulk_data_are_read_where_the_metadata_say(place: Place):
    told = place.client.retrieve_instance_metadata(*place.image)
    address = urljoin(place.url, told["00091010"]["BulkDataURI"])
    assert place.client.retrieve_bulkdata(address) == [PRIVATE]
    assert list(place.client.iter_bulkdata(address)) == [PRIVATE]
    # the client asks for a range in multipart, which would not be a range of the value
    assert place.client.retrieve_bulkdata(address, byte_range=(256, 511)) == [PRIVATE]


def test_frames_and_pictures_come(place: Place):
    pixels = place.sent[0].PixelData
    assert place.client.retrieve_instance_frames(*place.image, [1]) == [pixels]
    assert list(place.client.iter_instance_frames(*place.image, [1])) == [pixels]
    png = ("image/png",)
    for picture in (
        place.client.retrieve_instance_rendered(*place.image, media_types=png),
        place.client.retrieve_instance_frames_rendered(*place.image, [1], media_types=png),
        place.client.retrieve_series_rendered(place.study, place.series, media_types=png),
    ):
        assert Image.open(io.BytesIO(picture)).size == (16, 16)


def test_what_is_deleted_is_found_no_more(place: Place):
    other = f"{place.study}.5"
    made = [sliced(other, number) for number in (1, 2, 3)]
    made[2].SeriesInstanceUID = f"{other}.2"
    place.client.store_instances(made, study_instance_uid=other)
    place.client.delete_instance(other, f"{other}.1", f"{other}.1.1")
    assert len(place.client.search_for_instances(other)) == 2
    place.client.delete_series(other, f"{other}.2")
    assert len(place.client.search_for_series(other)) == 1
    place.client.delete_study(other)
    with pytest.raises(HTTPError, match="404"):
        place.client.retrieve_study_metadata(other)
    assert len(place.client.retrieve_study_metadata(place.study)) == len(place.sent)
