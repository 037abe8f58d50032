"""A silo: the rows of one owner, as a work sees them, and the site where they are held."""

from __future__ import annotations

import hashlib
import re
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparkml_dist.dataset import Block
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.alignment import Alignment
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.policy import SiloPolicy
from sparkml_dist.federated.schema import FederatedSchema
from sparkml_dist.federated.silo_data import SiloData
from sparkml_dist.federated.silo_state import SiloState
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["Silo", "SiloSite", "check_name", "stored_secret"]

_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_AGREED, _SPENT, _RUNS = "agreed.json", "spent.json", "runs.json"


def check_name(name: Any) -> str:
    """Return the name of a silo; raise unless it is a text without control characters.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "coordinator":
        raise ConfigurationError(
            "invalid_param",
            f"A silo cannot have the name {name!r}.",
            "Name it by a text of up to 200 characters, and not 'coordinator'.",
        )
    return name


@dataclass
class SiloSite:
    """What a silo's owner sets up: data, policy, and a folder for the silo's own files.

    Parameters
    ----------
    name : str
    data : SiloData
    folder : str, optional
        For states, ledger and secret. Without, they are held in memory.
    policy : SiloPolicy
    seed : int, optional
        Seed of the silo's draws, for experiments that can be repeated. By default a secret that
        never leaves the silo.
    """

    name: str
    data: SiloData
    folder: str | None = None
    policy: SiloPolicy = field(default_factory=SiloPolicy)
    seed: int | None = None
    held: dict[str, Any] = field(default_factory=dict, repr=False)

    def home(self, run: str) -> Folder | None:
        """Return the folder of one run; None where the site has none."""
        if self.folder is None:
            return None
        return Folder.at(self.folder).child(f"run-{hashlib.sha256(run.encode()).hexdigest()[:16]}")

    def spent(self) -> dict[str, float]:
        """Return the privacy loss of the silo's rows in each run."""
        return {str(run): float(loss) for run, loss in self._noted(_SPENT).items()}

    def spend(self, spent: dict[str, float]) -> None:
        """Keep the privacy loss of each run."""
        self._note(_SPENT, spent)

    def joined(self, run: str, most: int) -> bool:
        """Tell whether a run is among the first `most` that the silo takes part in; keep it."""
        runs = self._noted(_RUNS)
        if run not in runs and len(runs) < most:
            runs[run] = len(runs)
            self._note(_RUNS, runs)
        return run in runs

    def _noted(self, name: str) -> dict[str, Any]:
        if self.folder is None:
            return dict(self.held.get(name, {}))
        folder = Folder.at(self.folder)
        found = folder.read_json(name) if folder.exists(name) else {}
        return dict(found)

    def _note(self, name: str, value: dict[str, Any]) -> None:
        if self.folder is None:
            self.held[name] = dict(value)
        else:
            Folder.at(self.folder).write_json(name, value)

    def silo(self, run: str) -> Silo:
        """Return the silo of one run."""
        if run not in self.held:
            self.held[run] = Silo(self, run)
        silo: Silo = self.held[run]
        return silo


class Silo:
    """What a work sees of its own data, inside the silo.

    Attributes
    ----------
    name : str
    schema : FederatedSchema
        The agreed one.
    own_schema : FederatedSchema
        That of the silo's data.
    n_rows : int
    policy : SiloPolicy
    state : SiloState
        Arrays that strategies keep between rounds.
    """

    def __init__(self, site: SiloSite, run: str) -> None:
        self.name = site.name
        self.own_schema = site.data.schema
        self.n_rows = site.data.n_rows
        self._site = site
        self._run = run
        self._home = site.home(run)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._schema: FederatedSchema | None = None
        self._alignment: Alignment | None = None
        self.state = SiloState(None if self._home is None else self._home.child("state"))

    @property
    def policy(self) -> SiloPolicy:
        """What the silo lets out."""
        return self._site.policy

    @property
    def schema(self) -> FederatedSchema:
        """The schema on which the silos have agreed.

        Raises
        ------
        TrainingError
            ``request_refused`` before they have.
        """
        if self._schema is None and self._home is not None and self._home.exists(_AGREED):
            self.accept(FederatedSchema.from_dict(self._home.read_json(_AGREED)))
        if self._schema is None:
            raise TrainingError(
                "request_refused",
                f"The silo {self.name!r} does not know the schema of this run.",
                "It was not there when the silos agreed; start the federation again with it.",
            )
        return self._schema

    def accept(self, schema: FederatedSchema) -> None:
        """Take the agreed schema; raise DataError ``silos_differ`` where the data do not fit."""
        self._alignment = Alignment.of(self.own_schema, schema)
        if self._home is not None and not self._home.exists(_AGREED):
            self._home.write_json(_AGREED, schema.to_dict())
        self._schema = schema

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks of float64, in the agreed order of columns and classes."""
        _ = self.schema
        assert self._alignment is not None
        for block in self._site.data.blocks():
            if len(block):
                yield self._alignment.apply(block)

    @property
    def folder(self) -> str:
        """The silo's own working folder for this run, which exists."""
        if self._home is not None:
            work = self._home.child("work")
            work.create()
            return work.location
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="silo-")
        return self._temporary.name

    def rng(self, request: Message) -> np.random.Generator:
        """Return the generator of a request: the same when the request comes again.

        It is a function of the silo's secret (or seed), the run, the kind and the round.
        """
        parts = [self._secret(), request.kind.encode(), str(request.round).encode()]
        if self._site.seed is None:
            parts.append(self._run.encode())
        digest = hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).digest()
        return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], np.uint64)))

    def key(self, request: Message, purpose: str) -> bytes:
        """Return 32 bytes that nobody outside knows, the same when the request comes again.

        For noise and other things that protect: they follow from the silo's secret also where its
        other draws have a seed.
        """
        parts = [self._own_secret(), self._run.encode(), request.kind.encode()]
        parts += [str(request.round).encode(), purpose.encode()]
        return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).digest()

    def _secret(self) -> bytes:
        if self._site.seed is not None:
            return f"{self._site.seed}/{self.name}".encode()
        return self._own_secret()

    def _own_secret(self) -> bytes:
        if "secret" not in self._site.held:
            self._site.held["secret"] = stored_secret(self._site.folder)
        secret: bytes = self._site.held["secret"]
        return secret


def stored_secret(location: str | None) -> bytes:
    """Return the secret that a folder holds, made when it is first asked for."""
    if location is None:
        return secrets.token_bytes(32)
    folder = Folder.at(location)
    if not folder.exists("secret"):
        folder.write_bytes("secret", secrets.token_bytes(32))
    return folder.read_bytes("secret")
