"""Certificates of one federation, and tokens of its silos, by which its parties know each other."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.federated.remote.packages import needed
from sparkml_dist.federated.silo import check_name

__all__ = ["Credentials", "Tokens", "make_certificates", "silo_of"]

# Names of silos stand in certificates as URIs: any text, and distinct from names of hosts.
_SILO = "urn:sparkml-dist:silo:"
_AUTHORITY, _CERTIFICATE, _KEY = "authority.pem", "certificate.pem", "key.pem"
_TOKEN, _TOKENS = "token.json", "tokens.json"
_BEARER = "Bearer "


@dataclass(frozen=True)
class Credentials:
    """Key, certificate and authority of one party, as PEM; or authority and token of a silo.

    Attributes
    ----------
    key, certificate : bytes or None
        None with a token.
    authority : bytes
    owner, token : str or None
        Name of the silo that has a token, and the token.
    """

    key: bytes | None
    certificate: bytes | None
    authority: bytes
    owner: str | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Credentials:
        """Read ``key.pem``, ``certificate.pem`` and ``authority.pem`` in a folder.

        In the folder of a silo with a token, ``token.json`` and ``authority.pem``.

        Raises
        ------
        StorageError
            ``file_not_found``; ``no_silo_certificate`` where the token cannot be read.
        """
        found = []
        has_token = (Path(folder) / _TOKEN).exists()
        for name in (_TOKEN, _AUTHORITY) if has_token else (_KEY, _CERTIFICATE, _AUTHORITY):
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
        if not has_token:
            return cls(found[0], found[1], found[2])
        try:
            value = json.loads(found[0])
            name, token = check_name(value["silo"]), str(value["token"])
        except (ConfigurationError, KeyError, TypeError, ValueError) as error:
            raise _no_silo(f"{_TOKEN} is damaged") from error
        return cls(None, None, found[1], name, token)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call: the token, where there is one."""
        if self.owner is None or self.token is None:
            return ()
        return (("authorization", f"{_BEARER}{quote(self.owner, safe='')}:{self.token}"),)

    @property
    def silo(self) -> str:
        """Name of the silo that the certificate is for.

        Raises
        ------
        StorageError
            ``no_silo_certificate`` where it names none.
        """
        if self.owner is not None:
            return self.owner
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


class Tokens:
    """What a coordinator knows of the silos' tokens: their SHA-256, from which none can be made.

    Parameters
    ----------
    digests : mapping of str to str
        By silo, in hexadecimal.
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = dict(digests)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Tokens:
        """Read ``tokens.json`` in a coordinator's folder.

        Raises
        ------
        StorageError
            ``file_not_found``.
        """
        path = Path(folder) / _TOKENS
        try:
            value = json.loads(path.read_text())
            return cls({str(name): str(digest) for name, digest in value.items()})
        except (OSError, AttributeError, ValueError) as error:
            raise StorageError(
                "file_not_found",
                f"There are no tokens of silos in {str(path)!r}.",
                "Make them with 'sparkml-dist silo-certificates FOLDER --silos … --tokens'.",
            ) from error

    def silo_of(self, authorization: str) -> str | None:
        """Return the silo whose token a call brings; None for any other.

        The comparison takes the same time wherever two tokens differ, and for unknown silos.
        """
        name, _, token = authorization.removeprefix(_BEARER).partition(":")
        name = unquote(name)
        given = _digest(token)
        known = self._digests.get(name, _digest(secrets.token_hex(8)))
        same = hmac.compare_digest(given.encode(), known.encode())
        return name if same and name in self._digests else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


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
    tokens: bool = False,
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
    tokens : bool, default=False
        Whether silos get a random token of 256 bits in place of key and certificate. They then know
        the coordinator by its certificate, and it knows them by their tokens, of which
        ``coordinator/tokens.json`` has the SHA-256 alone. A token is valid until it is deleted
        there.

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
        if tokens and party not in parties:
            maker.issue_token(path, party)
        else:
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

    def issue_token(self, folder: Path, silo: str) -> None:
        """Write a silo's token and the authority's certificate, and tell the coordinator."""
        token = secrets.token_urlsafe(32)
        folder.mkdir(parents=True)
        folder.chmod(0o700)
        pem = self._certificate.public_bytes(self._forms.Encoding.PEM)
        (folder / _AUTHORITY).write_bytes(pem)
        _write_secret(folder / _TOKEN, json.dumps({"silo": silo, "token": token}).encode())
        known = self.home / "coordinator" / _TOKENS
        known.parent.mkdir(exist_ok=True)
        digests = json.loads(known.read_text()) if known.exists() else {}
        known.unlink(missing_ok=True)
        _write_secret(known, json.dumps({**digests, silo: _digest(token)}, indent=1).encode())

    def _authority(self, folder: Path) -> tuple[Any, Any]:
        x509 = self._x509
        if folder.exists():
            pair = [(folder / name).read_bytes() for name in (_KEY, _CERTIFICATE)]
            key = self._forms.load_pem_private_key(pair[0], None)
            return key, x509.load_pem_x509_certificate(pair[1])
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
            _write_secret(
                folder / _KEY,
                key.private_bytes(
                    forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()
                ),
            )
            pem = forms.Encoding.PEM
            (folder / _CERTIFICATE).write_bytes(certificate.public_bytes(pem))
            (folder / _AUTHORITY).write_bytes(self._certificate.public_bytes(pem))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(content)


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
