"""The place of each task in a gang: rank, local rank, cross rank, and network interface."""

from __future__ import annotations

import ipaddress
import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sparkml_dist.errors import ResourceError

__all__ = [
    "Peer",
    "RankPlace",
    "check_own_name",
    "interface_of",
    "own_address",
    "rank_places",
]

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Peer:
    """What a task reports about itself to the other tasks.

    Attributes
    ----------
    host : str
        Name of its host.
    address : str
        IPv4 address at which the other tasks reach it.
    pid : int
        Process id of its task.
    gpus : tuple of str
        Addresses of the GPUs that Spark assigned to it.
    """

    host: str
    address: str
    pid: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class RankPlace:
    """A task's place in the gang; see `sparkml_dist.cluster.rank_context.RankContext`."""

    rank: int
    local_rank: int
    local_size: int
    cross_rank: int
    cross_size: int


def rank_places(hosts: Sequence[str]) -> list[RankPlace]:
    """Assign ranks to tasks so that the ranks of one host follow each other.

    Parameters
    ----------
    hosts : sequence of str
        The host of each task, in the order of the tasks' partitions.

    Returns
    -------
    list of RankPlace
        The place of each task. Hosts come in the order of their first task, so that task 0 is
        always rank 0; the tasks of a host keep their order.
    """
    members: dict[str, list[int]] = {}  # every task computes all places: linear in the tasks
    for task, host in enumerate(hosts):
        members.setdefault(host, []).append(task)
    cross_size = Counter(local for tasks in members.values() for local in range(len(tasks)))
    before: Counter[int] = Counter()  # hosts so far that have a local rank
    found: dict[int, RankPlace] = {}
    for tasks in members.values():
        for local_rank, task in enumerate(tasks):
            found[task] = RankPlace(
                rank=len(found),
                local_rank=local_rank,
                local_size=len(tasks),
                cross_rank=before[local_rank],
                cross_size=cross_size[local_rank],
            )
            before[local_rank] += 1
    return [found[task] for task in range(len(hosts))]


def own_address(task_hosts: Sequence[str], own: int) -> str:
    """Return the IPv4 address at which the other tasks of the gang reach this one.

    Parameters
    ----------
    task_hosts : sequence of str
        Host or address of each task's executor, as reported by Spark.
    own : int
        Index of this task.

    Returns
    -------
    str
        The loopback address when all tasks are on one host, so that no port is opened to the
        network.
    """
    if len(set(task_hosts)) == 1:
        return LOOPBACK
    others = [h for h in task_hosts if h != task_hosts[own]]
    try:
        address = socket.gethostbyname(task_hosts[own])
        if not ipaddress.ip_address(address).is_loopback:
            return address
        # Debian maps the host's own name to 127.0.1.1: ask the kernel for the outgoing address.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((others[0], 9))
            return str(probe.getsockname()[0])
    except OSError as error:
        raise ResourceError(
            "address_unknown",
            f"Cannot find the address of host {task_hosts[own]!r} for the ranks of a gang: "
            f"{error}.",
            "Set SPARK_LOCAL_IP on the worker, or make the host's name resolve.",
        ) from error


def check_own_name(address: str) -> None:
    """Raise where Horovod would take this host's loopback address for one that others reach.

    Horovod 0.28's Gloo has the interface for its first connections only. For those of a process
    set, and all ranks are one, it takes the address to which the host's own name resolves
    (``GlooContext::InitializeForProcessSet``): on a host whose ``/etc/hosts`` maps its name to
    127.0.1.1, as Debian's does, a rank would abort.

    Parameters
    ----------
    address : str
        At which the others reach this host.

    Raises
    ------
    ResourceError
        ``address_unknown``.
    """
    if ipaddress.ip_address(address).is_loopback:
        return
    name = socket.gethostname()
    try:
        found = socket.gethostbyname(name)
    except OSError as error:
        found = f"nothing ({error})"
    else:
        if not ipaddress.ip_address(found).is_loopback:
            return
    raise ResourceError(
        "address_unknown",
        f"The name of the host {name!r} resolves to {found} there, and Horovod takes that for the "
        "address of its ranks, which are on several hosts.",
        f"Map {name!r} to {address} in that host's /etc/hosts (or name service).",
    )


def interface_of(address: str) -> str:
    """Return the name of the network interface that has `address`.

    Raises
    ------
    ResourceError
        ``interface_unknown`` when no interface of this host has it.
    """
    import psutil

    wanted = LOOPBACK if ipaddress.ip_address(address).is_loopback else address
    interfaces = psutil.net_if_addrs()
    for name, addresses in interfaces.items():
        if any(a.family == socket.AF_INET and a.address == wanted for a in addresses):
            return str(name)
    raise ResourceError(
        "interface_unknown",
        f"No network interface of {socket.gethostname()} has the address {address}. "
        f"Got: {', '.join(sorted(interfaces))}.",
        "Set SPARK_LOCAL_IP on the worker to an address of an interface that the others reach.",
    )
