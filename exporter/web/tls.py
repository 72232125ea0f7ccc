"""`tls_server_config` of the web configuration, and the TLS context that it comes to."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, field_validator

from exporter.config.checking import Conflict, Schema
from exporter.config.scalars import Flag

FILE_KEYS = ("cert_file", "key_file", "client_ca_file")
VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
CLIENT_AUTH = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
UNCHECKED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
"""Policies that take a certificate without looking at it: Python's TLS has none of them."""
CIPHERS = {
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""OpenSSL's names of the suites up to TLS 1.2 that Go's crypto/tls offers or offered."""
CIPHERS_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Always on with TLS 1.3; naming them changes nothing, as in Go."""
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


class TlsServerConfig(Schema):
    """The block as it is written; keys and defaults are the toolkit's."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: str = ""
    client_allowed_sans: list[str] = Field(default_factory=list)
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: list[str] = Field(default_factory=list)
    prefer_server_cipher_suites: Flag = True
    curve_preferences: list[str] = Field(default_factory=list)

    @field_validator("client_auth_type")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        if value in UNCHECKED:
            raise ValueError(f"{value} verifies no certificate and is not supported; write RequireAndVerifyClientCert")
        if value not in CLIENT_AUTH:
            raise ValueError(f"{value!r} is not a policy; write one of {', '.join(filter(None, CLIENT_AUTH))}")
        return value

    @field_validator("min_version", "max_version")
    @classmethod
    def _known_version(cls, value: str) -> str:
        if value not in VERSIONS:
            outdated = " is outdated and not supported" if value in ("TLS10", "TLS11") else " is not a version"
            raise ValueError(f"{value!r}{outdated}; write TLS12 or TLS13")
        return value

    @field_validator("cipher_suites")
    @classmethod
    def _known_ciphers(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in CIPHERS and name not in CIPHERS_13:
                raise ValueError(
                    f"{name!r} is not a cipher suite; write names of Go's crypto/tls such as {CIPHERS_13[0]}"
                )
        return value

    @field_validator("curve_preferences")
    @classmethod
    def _one_curve(cls, value: list[str]) -> list[str]:
        if unknown := [name for name in value if name not in CURVES]:
            raise ValueError(f"{unknown[0]!r} is not a curve; write one of {', '.join(CURVES)}")
        if len(value) > 1:
            raise ValueError("a list of several curves is not supported; write one, or leave it out")
        return value

    @property
    def is_enabled(self) -> bool:
        """Whether the block enables TLS at all; an empty one does not."""
        names = ("cert", "key", "client_ca", *FILE_KEYS, "client_auth_type")
        return any(getattr(self, name) for name in names)


def context(settings: TlsServerConfig, folder: Path) -> ssl.SSLContext:
    """Return the server's TLS context; relative paths begin at `folder`. Raise Conflict."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version, made.maximum_version = VERSIONS[settings.min_version], VERSIONS[settings.max_version]
    if made.minimum_version > made.maximum_version:
        raise Conflict("min_version", f"{settings.min_version} is above max_version {settings.max_version}; lower it")
    _choose_ciphers(made, settings)
    for curve in settings.curve_preferences:
        made.set_ecdh_curve(CURVES[curve])
    with (
        _file(settings, "cert", folder) as certificate,
        _file(settings, "key", folder) as key,
    ):
        try:
            made.load_cert_chain(certificate, key, password=_no_password)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or "not PEM, or the key is encrypted"
            text = f"certificate and key cannot be used together ({reason}); write a PEM certificate and its own key"
            raise Conflict("cert" if settings.cert else "cert_file", text) from None
    _request_client_certificates(made, settings, folder)
    return made


def _choose_ciphers(made: ssl.SSLContext, settings: TlsServerConfig) -> None:
    if settings.prefer_server_cipher_suites:
        made.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not settings.cipher_suites:
        return
    older = [CIPHERS[name] for name in settings.cipher_suites if name in CIPHERS]
    if not older:
        if made.maximum_version < ssl.TLSVersion.TLSv1_3:
            raise Conflict("cipher_suites", "has suites of TLS 1.3 only, which max_version excludes; write others")
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    made.set_ciphers(":".join(older))


def _request_client_certificates(made: ssl.SSLContext, settings: TlsServerConfig, folder: Path) -> None:
    policy = CLIENT_AUTH[settings.client_auth_type]
    key = "client_ca" if settings.client_ca else "client_ca_file"
    has_authority = bool(settings.client_ca or settings.client_ca_file)
    if settings.client_allowed_sans and policy != ssl.CERT_REQUIRED:
        raise Conflict("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert; add it")
    if policy == ssl.CERT_NONE:
        if has_authority:
            raise Conflict(
                key, "has no effect without client certificates; write client_auth_type: RequireAndVerifyClientCert"
            )
        return
    made.verify_mode = policy
    if not has_authority:
        made.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return
    try:
        if settings.client_ca:
            ascii_only = settings.client_ca.encode(
                "ascii", "replace"
            ).decode()  # PEM is, and OpenSSL takes nothing else
            made.load_verify_locations(cadata=ascii_only)
        else:
            made.load_verify_locations(folder / settings.client_ca_file)
    except (ssl.SSLError, OSError) as error:
        why = error.strerror if not isinstance(error, ssl.SSLError) else "not a PEM certificate"
        raise Conflict(key, f"cannot be used: {why}") from None


@contextmanager
def _file(settings: TlsServerConfig, what: str, folder: Path) -> Iterator[Path]:
    """Yield the file that holds the certificate or the key, for the moment that one given inline is in a file."""
    inline, named = getattr(settings, what), getattr(settings, f"{what}_file")
    if inline and named:
        raise Conflict(what, f"is set together with {what}_file; remove one of them")
    if named:
        path = folder / named
        if not os.access(path, os.R_OK) or not path.is_file():
            raise Conflict(f"{what}_file", f"{named!r} cannot be read; write a file that this user may read")
        yield path
    elif inline:
        with _in_memory(what, inline) as path:
            yield path
    else:
        raise Conflict(f"{what}_file", "is missing; TLS needs cert_file and key_file")


@contextmanager
def _in_memory(what: str, text: str) -> Iterator[Path]:
    """Yield a file that is in no folder and on no disk: OpenSSL takes certificates from files only."""
    if not hasattr(os, "memfd_create"):
        raise Conflict(what, f"is supported inline on Linux only; write {what}_file")
    number = os.memfd_create(what)
    try:
        os.write(number, text.encode())
        yield Path(f"/proc/self/fd/{number}")
    finally:
        os.close(number)


def _no_password() -> str:
    """An encrypted key is an error, not a prompt on a terminal."""
    raise ssl.SSLError("the key is encrypted")
