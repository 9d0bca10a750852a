"""Settings of secure associations: TLS (PS3.15 B.12), user identity (PS3.7 D.3.3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dicom_node.config import values
from pacs_common.env import Env, SettingError


@dataclass(frozen=True)
class Tls:
    """How DICOM is secured: port 0 is off; paths are None where none is given."""

    port: int
    bind: str
    certificate: Path | None
    key: Path | None
    authorities: Path | None
    client_certificate: str
    profile: str


@dataclass(frozen=True)
class IdentityRules:
    """What is asked of user identity negotiation (PS3.7 D.3.3.7)."""

    demand: str
    users_file: Path
    jwt_key: Path | None
    jwt_issuer: str
    jwt_audience: str


def read_tls(env: Env) -> Tls:
    """Return how the TLS port is served; raises SettingError where a file for it lacks."""
    found = Tls(
        port=env.integer(
            "PACS_DICOM_TLS_PORT", 0, "Port of DICOM over TLS (2762 by habit); 0: off.", high=65535
        ),
        bind=env.text(
            "PACS_DICOM_TLS_BIND",
            "127.0.0.1",
            "Address of the TLS port, apart from the plain one's.",
        ),
        certificate=values.file(
            env.text("PACS_DICOM_TLS_CERT", "", "The node's certificate and its chain, PEM."),
            "PACS_DICOM_TLS_CERT",
        ),
        key=values.file(
            env.text("PACS_DICOM_TLS_KEY", "", "The certificate's private key, PEM."),
            "PACS_DICOM_TLS_KEY",
        ),
        authorities=values.file(
            env.text("PACS_DICOM_TLS_CA", "", "Authorities whose certificates count, PEM."),
            "PACS_DICOM_TLS_CA",
        ),
        client_certificate=values.one_of(
            env.text(
                "PACS_DICOM_TLS_CLIENT_CERT",
                "require",
                "Certificate asked of a calling peer: require, optional or none.",
            ),
            "PACS_DICOM_TLS_CLIENT_CERT",
            ("require", "optional", "none"),
        ),
        profile=values.one_of(
            env.text(
                "PACS_DICOM_TLS_PROFILE",
                "bcp195",
                "bcp195 (PS3.15 B.12: TLS 1.2 and 1.3) or tls13 (nothing older).",
            ),
            "PACS_DICOM_TLS_PROFILE",
            ("bcp195", "tls13"),
        ),
    )
    if found.port:
        _require_tls_files(found)
    return found


def _require_tls_files(tls: Tls) -> None:
    needed = {"PACS_DICOM_TLS_CERT": tls.certificate, "PACS_DICOM_TLS_KEY": tls.key}
    if tls.client_certificate != "none":
        needed["PACS_DICOM_TLS_CA"] = tls.authorities
    for name, path in needed.items():
        if path is None:
            raise SettingError(name, "is needed for PACS_DICOM_TLS_PORT")


def read_identity(env: Env, data_dir: Path) -> IdentityRules:
    """Return what is asked of the users of associations."""
    return IdentityRules(
        demand=values.one_of(
            env.text(
                "PACS_DICOM_USER_IDENTITY",
                "none",
                "User identity of associations: none (not looked at), optional or required.",
            ),
            "PACS_DICOM_USER_IDENTITY",
            ("none", "optional", "required"),
        ),
        users_file=env.path(
            "PACS_DICOM_USERS_FILE",
            data_dir / "dicom-users.json",
            "Users of associations with their hashed passcodes.",
        ),
        jwt_key=values.file(
            env.text(
                "PACS_DICOM_JWT_KEY", "", "Public key, PEM, that signs JSON Web Tokens of users."
            ),
            "PACS_DICOM_JWT_KEY",
        ),
        jwt_issuer=env.text("PACS_DICOM_JWT_ISSUER", "", "Issuer that such a token must name."),
        jwt_audience=env.text(
            "PACS_DICOM_JWT_AUDIENCE", "", "Audience of such a token; empty: the node's AE title."
        ),
    )
