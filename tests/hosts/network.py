"""Hosts made of Linux network namespaces, and a standalone cluster over them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.standalone import StandaloneCluster

_ETC = Path("/etc/netns")


def ip(*arguments: str) -> str:
    """Run the command ``ip`` and return what it prints."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


class HostNetwork:
    """Namespaces with an address each, joined by a bridge in a namespace of its own.

    The machine's own network is not touched. Skips the test where the machine does not allow it.
    """

    def __init__(self, hosts: int) -> None:
        self.addresses = [f"10.79.0.{i + 1}" for i in range(hosts)]
        self._name = f"hosts{os.getpid()}"
        self.host_name = socket.gethostname()

    def __enter__(self) -> HostNetwork:
        if shutil.which("ip") is None:
            pytest.skip("there is no command ip")
        switch = f"{self._name}-switch"
        try:
            try:
                ip("netns", "add", switch)
                ip("-n", switch, "link", "add", "bridge", "type", "bridge")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this machine allows no network namespaces: {error.stderr.strip()}")
            ip("-n", switch, "link", "set", "bridge", "up")
            for index, address in enumerate(self.addresses):
                space, port = self.space(index), f"port{index}"
                ip("netns", "add", space)
                peer = ("peer", "name", "wire", "netns", space)
                ip("-n", switch, "link", "add", port, "type", "veth", *peer)
                ip("-n", switch, "link", "set", port, "master", "bridge", "up")
                ip("-n", space, "addr", "add", f"{address}/24", "dev", "wire")
                ip("-n", space, "link", "set", "wire", "up")
                ip("-n", space, "link", "set", "lo", "up")
                # `ip netns exec` shows this file as /etc/hosts: all hosts have the machine's name.
                etc = _ETC / space
                etc.mkdir(parents=True, exist_ok=True)
                (etc / "hosts").write_text(f"127.0.0.1 localhost\n{address} {self.host_name}\n")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        names = [self.space(i) for i in range(len(self.addresses))]
        for name in names:
            shutil.rmtree(_ETC / name, ignore_errors=True)
        for name in [*names, f"{self._name}-switch"]:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", name)

    def space(self, index: int) -> str:
        """Return the name of the namespace of host `index`."""
        return f"{self._name}-{index}"

    def forget_name(self, index: int) -> None:
        """Let host `index` resolve its own name to its loopback address, as Debian does."""
        file = _ETC / self.space(index) / "hosts"
        file.write_text(f"127.0.0.1 localhost {self.host_name}\n")

    def cut(self, index: int) -> None:
        """Drop what host `index` sends and what is sent to it; nobody gets a reset."""
        ip("-n", f"{self._name}-switch", "link", "set", f"port{index}", "nomaster")

    def join(self, index: int) -> None:
        """Undo `cut`."""
        ip("-n", f"{self._name}-switch", "link", "set", f"port{index}", "master", "bridge")

    def processes(self, index: int) -> set[int]:
        """Return the processes on host `index`."""
        return {int(pid) for pid in ip("netns", "pids", self.space(index)).split()}


class HostCluster(StandaloneCluster):
    """Master and driver on host 0, a worker on each other host of a `HostNetwork`."""

    def __init__(self, folder: Path, network: HostNetwork, *, cores: int = 1) -> None:
        super().__init__(folder, workers=len(network.addresses) - 1, cores=cores)
        self.network = network
        self.driver_host = network.addresses[0]
        self.hosts = network.addresses[1:]

    def _at(self, host: str) -> list[str]:
        space = self.network.space(self.network.addresses.index(host))
        return ["ip", "netns", "exec", space]

    def seconds_until_idle(self, bound: float) -> float:
        """Wait until only the master and the workers run; return how long that took."""
        begun = time.monotonic()
        own = {self._master.pid, *self.worker_pids()}
        while True:
            hosts = range(len(self.network.addresses))
            others = set().union(*(self.network.processes(i) for i in hosts)) - own
            taken = time.monotonic() - begun
            if not others:
                return taken
            assert taken < bound, f"Still running after {bound} s: {sorted(others)}"
            time.sleep(0.2)
