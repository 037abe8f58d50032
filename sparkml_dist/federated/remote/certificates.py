"""A small certificate authority for one federation: coordinator and silos know each other by it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sparkml_dist.errors import StorageError
from sparkml_dist.federated.remote.packages import needed
from sparkml_dist.federated.silo import check_name

__all__ = ["Credentials", "make_certificates", "silo_of"]

# Names of silos stand in certificates as URIs: any text, and distinct from names of hosts.
_SILO = "urn:sparkml-dist:silo:"
_AUTHORITY, _CERTIFICATE, _KEY = "authority.pem", "certificate.pem", "key.pem"


@dataclass(frozen=True)
class Credentials:
    """Key, certificate and authority of one party, as PEM.

    Attributes
    ----------
    key, certificate, authority : bytes
    """

    key: bytes
    certificate: bytes
    authority: bytes

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Credentials:
        """Read ``key.pem``, ``certificate.pem`` and ``authority.pem`` in a folder.

        Raises
        ------
        StorageError
            ``file_not_found``.
        """
        found = []
        for name in (_KEY, _CERTIFICATE, _AUTHORITY):
            path = Path(folder) / name
            try:
                found.append(path.read_bytes())
            except OSError as error:
                raise StorageError(
                    "file_not_found",
                    f"There is no file {str(path)!r} that can be read ({error.strerror}).",
                    "Each party needs the folder that 'sparkml-dist silo-certificates' made for "
                    "it.",
                ) from error
        return cls(*found)

    @property
    def silo(self) -> str:
        """Name of the silo that the certificate is for.

        Raises
        ------
        StorageError
            ``no_silo_certificate`` where it names none.
        """
        x509 = needed("cryptography.x509")
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        except (ValueError, x509.ExtensionNotFound) as error:
            raise _no_silo(str(error)) from error
        name = silo_of(uris)
        if name is None:
            raise _no_silo("it is not a silo's")
        return name


def silo_of(names: Sequence[str]) -> str | None:
    """Return the silo among the alternative names of a certificate; None unless there is one."""
    found = [unquote(name.removeprefix(_SILO)) for name in names if name.startswith(_SILO)]
    return found[0] if len(found) == 1 else None


def make_certificates(
    folder: str | os.PathLike[str],
    silos: Sequence[str],
    *,
    hosts: Sequence[str] = ("localhost",),
    days: int = 365,
) -> None:
    """Make an authority, and a folder with key and certificate for the coordinator and each silo.

    Hand each party its own folder, over a channel that you trust, and delete it here. The
    authority's key, ``authority/key.pem``, makes new certificates: keep it away from all machines
    of the federation.

    Parameters
    ----------
    folder : str or path-like
        Gets ``authority``, ``coordinator`` and ``silo-NAME``. An authority that is there is used
        again; other folders must not exist.
    silos : sequence of str
    hosts : sequence of str, default=("localhost",)
        Names and addresses under which silos reach the coordinator.
    days : int, default=365
        How long the certificates are valid.

    Raises
    ------
    StorageError
        ``output_exists``.
    """
    maker = _Maker(Path(folder), days)
    parties = {"coordinator": list(hosts)} if hosts else {}
    places = {party: maker.home / party for party in parties}
    for name in silos:
        places[name] = maker.home / f"silo-{quote(check_name(name), safe='')}"
    for path in places.values():
        if path.exists():
            raise StorageError(
                "output_exists", f"{str(path)!r} exists.", "Delete it, or name another folder."
            )
    for party, path in places.items():
        maker.issue(path, None if party in parties else party, parties.get(party, []))


class _Maker:
    """Issues certificates under the authority in a folder."""

    def __init__(self, home: Path, days: int) -> None:
        self.home = home
        self._days = days
        self._x509 = needed("cryptography.x509")
        self._ec = needed("cryptography.hazmat.primitives.asymmetric.ec")
        self._hashes = needed("cryptography.hazmat.primitives.hashes")
        self._forms = needed("cryptography.hazmat.primitives.serialization")
        self._key, self._certificate = self._authority(home / "authority")

    def issue(self, folder: Path, silo: str | None, hosts: Sequence[str]) -> None:
        """Write key, certificate and the authority's certificate of one party."""
        x509 = self._x509
        purposes = x509.oid.ExtendedKeyUsageOID
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        if silo is None:
            names = [_host(x509, host) for host in hosts]
            title, purpose = "coordinator", purposes.SERVER_AUTH
        else:
            names = [x509.UniformResourceIdentifier(_SILO + quote(silo, safe=""))]
            title, purpose = "silo", purposes.CLIENT_AUTH
        certificate = (
            self._builder(title, key)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(self._key, self._hashes.SHA256())
        )
        self._write(folder, key, certificate)

    def _authority(self, folder: Path) -> tuple[Any, Any]:
        x509 = self._x509
        if folder.exists():
            found = Credentials.read(folder)
            key = self._forms.load_pem_private_key(found.key, None)
            return key, x509.load_pem_x509_certificate(found.certificate)
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        builder = self._builder("authority of a federation", key)
        certificate = (
            builder.issuer_name(x509.Name([_title(x509, "authority of a federation")]))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, self._hashes.SHA256())
        )
        self._certificate = certificate
        self._write(folder, key, certificate)
        return key, certificate

    def _builder(self, title: str, key: Any) -> Any:
        now = datetime.datetime.now(datetime.UTC)
        return (
            self._x509.CertificateBuilder()
            .subject_name(self._x509.Name([_title(self._x509, title)]))
            .public_key(key.public_key())
            .serial_number(self._x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=self._days))
        )

    def _write(self, folder: Path, key: Any, certificate: Any) -> None:
        forms = self._forms
        folder.mkdir(parents=True)
        folder.chmod(0o700)
        try:
            descriptor = os.open(folder / _KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as sink:
                sink.write(
                    key.private_bytes(
                        forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
                    )
                )
            pem = forms.Encoding.PEM
            (folder / _CERTIFICATE).write_bytes(certificate.public_bytes(pem))
            (folder / _AUTHORITY).write_bytes(self._certificate.public_bytes(pem))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _title(x509: Any, text: str) -> Any:
    return x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, text)


def _host(x509: Any, host: str) -> Any:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _no_silo(why: str) -> StorageError:
    return StorageError(
        "no_silo_certificate",
        f"The certificate names no silo: {why}.",
        "Use the folder that 'sparkml-dist silo-certificates' made for the silo.",
    )
