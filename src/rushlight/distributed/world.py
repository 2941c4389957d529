"""The group that this process belongs to, and new ones of it: none has other processes."""

from __future__ import annotations

import enum
import os
from collections.abc import Sequence
from typing import Any

__all__ = [
    "Backend",
    "GroupMember",
    "HashStore",
    "ProcessGroup",
    "ReduceOp",
    "Store",
    "Work",
    "destroy_process_group",
    "get_backend",
    "get_global_rank",
    "get_group_rank",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "is_available",
    "is_backend_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "is_ucc_available",
    "is_xccl_available",
    "joined",
    "new_group",
]

_NOT_INITIALIZED = (
    "Default process group has not been initialized, please make sure to call init_process_group."
)


class ReduceOp(enum.Enum):
    """How the tensors of all processes become one; of one process they stay as they are."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7


class Backend(str):
    """The name of a library that carries messages between processes: "gloo" for those of one, which needs none.

    Raises:
        ValueError: no string.

    Example:
        >>> import rushlight as torch
        >>> torch.distributed.Backend("GLOO")
        'gloo'
    """

    UNDEFINED = "undefined"
    GLOO = "gloo"
    NCCL = "nccl"
    UCC = "ucc"
    MPI = "mpi"
    XCCL = "xccl"
    FAKE = "fake"

    def __new__(cls, name: str) -> Backend:
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return super().__new__(cls, name.lower())


class Store:
    """What processes tell each other before they belong together; kept in this process's memory."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def set(self, key: str, value: str | bytes) -> None:
        """Remember a value."""
        self._values[key] = value.encode() if isinstance(value, str) else value

    def get(self, key: str) -> bytes:
        """A value; RuntimeError if there is none, for nobody else could set it."""
        if key not in self._values:
            raise RuntimeError(f"the store has no key {key!r}, and no other process to set it")
        return self._values[key]

    def add(self, key: str, amount: int) -> int:
        """Add to a number, which is 0 at first, and get the sum."""
        total = int(self._values.get(key, b"0")) + amount
        self.set(key, str(total))
        return total

    def delete_key(self, key: str) -> bool:
        """Forget a value; whether there was one."""
        return self._values.pop(key, None) is not None

    def num_keys(self) -> int:
        """How many values there are."""
        return len(self._values)


class HashStore(Store):
    """A store in memory.

    Example:
        >>> import rushlight as torch
        >>> store = torch.distributed.HashStore()
        >>> store.set("step", "3")
        >>> store.get("step")
        b'3'
    """


class ProcessGroup:
    """Processes that compute together: this one.

    Attributes:
        backend: the name that the group was made with.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def rank(self) -> int:
        """This process's number in the group: 0."""
        return 0

    def size(self) -> int:
        """How many processes there are: 1."""
        return 1

    def name(self) -> str:
        """The backend's name."""
        return self.backend


class Work:
    """A message that is on its way; between one process and itself it has arrived."""

    def wait(self, timeout: Any = None) -> bool:
        """Wait until it has arrived."""
        return True

    def is_completed(self) -> bool:
        """Whether it has arrived."""
        return True

    def is_success(self) -> bool:
        """Whether it arrived whole."""
        return True


class _World(type):
    """Shows the group that `init_process_group` made."""

    _world: ProcessGroup | None = None

    @property
    def WORLD(cls) -> ProcessGroup | None:
        return _World._world


class group(metaclass=_World):
    """`group.WORLD` is the group of all processes, None before `init_process_group`."""


class GroupMember(metaclass=_World):
    """`GroupMember.WORLD` is the group of all processes; `NON_GROUP_MEMBER` stands for a group that this process is not in."""

    NON_GROUP_MEMBER = -100


def is_available() -> bool:
    """Whether groups can be made: yes, of this process.

    Example:
        >>> import rushlight as torch
        >>> torch.distributed.is_available(), torch.distributed.is_initialized()
        (True, False)
    """
    return True


def is_initialized() -> bool:
    """Whether this process belongs to a group."""
    return _World._world is not None


def is_gloo_available() -> bool:
    """Whether groups may be called "gloo"."""
    return True


def is_nccl_available() -> bool:
    """Whether GPUs can send messages: there are none."""
    return False


is_mpi_available = is_ucc_available = is_xccl_available = is_nccl_available


def is_backend_available(backend: str) -> bool:
    """Whether groups may be called so.

    Example:
        >>> import rushlight as torch
        >>> torch.distributed.is_backend_available("gloo"), torch.distributed.is_backend_available("nccl")
        (True, False)
    """
    return backend.lower() == "gloo"


def is_torchelastic_launched() -> bool:
    """Whether `torchrun` started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
    **options: Any,
) -> None:
    """Make the group of all processes, which is this one.

    Args:
        world_size, rank: how many processes there are, and which this is; if they are not given, the environment says so, or the
            end of a URL `init_method`.
        init_method, store: where processes would meet: nothing is opened.

    Raises:
        ValueError: there is a group already; nothing says how many processes there are.
        RuntimeError: a backend for GPUs.
        NotImplementedError: there are several processes.

    Example:
        >>> import rushlight as torch
        >>> torch.distributed.init_process_group("gloo", world_size=1, rank=0)
        >>> torch.distributed.get_world_size()
        1
        >>> torch.distributed.destroy_process_group()
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    if store is not None and init_method is not None:
        raise AssertionError("Cannot specify both init_method and store.")
    name = _checked_backend(backend)
    size, number = _told(world_size, rank, store is None and init_method in (None, "env://"))
    if size != 1:
        raise NotImplementedError(
            f"torch.distributed: a group of {size} processes was asked for; Rushlight has groups of one process, and "
            "torch.multiprocessing for processes of one machine that share tensors"
        )
    if number != 0:
        raise ValueError(f"the rank of the only process is 0, not {number}")
    _World._world = ProcessGroup(name)


def _checked_backend(backend: str | None) -> str:
    names = [part.rpartition(":")[2] for part in str(backend or Backend.GLOO).lower().split(",")]
    for name in names:
        if name not in ("gloo", "nccl", "mpi", "ucc", "xccl", "undefined", "fake"):
            raise AssertionError(f"Unknown backend type {name}")
    if "gloo" not in names and names != ["undefined"]:
        raise RuntimeError(f"Distributed package doesn't have {names[0].upper()} built in")
    return "gloo"


def _told(world_size: int, rank: int, by_environment: bool) -> tuple[int, int]:
    """How many processes there are, and which this is."""
    found = []
    for given, variable in ((rank, "RANK"), (world_size, "WORLD_SIZE")):
        if given == -1 and not by_environment:
            raise ValueError(
                "both rank and world_size are needed where the environment is not asked for them"
            )
        if given == -1 and variable not in os.environ:
            raise ValueError(
                "Error initializing torch.distributed using env:// rendezvous: environment variable "
                f"{variable} expected, but not set"
            )
        found.append(int(os.environ[variable]) if given == -1 else given)
    return found[1], found[0]


def joined(group: ProcessGroup | None = None) -> ProcessGroup:
    """A group, or the one of all processes; ValueError before `init_process_group`."""
    found = _World._world if group is None else group
    if found is None or _World._world is None:
        raise ValueError(_NOT_INITIALIZED)
    return found


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Leave a group; without one, the group of all processes."""
    if not is_initialized():
        raise AssertionError("Process group cannot be None")
    if group is None or group is _World._world:
        _World._world = None


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: Any = None,
    backend: str | None = None,
    pg_options: Any = None,
    **options: Any,
) -> Any:
    """A group of some of the processes; what stands for none where this one is not among them.

    Raises:
        ValueError: others are among them.
    """
    whole = joined()
    if ranks is not None and len(ranks) > 1:
        raise ValueError(
            "the new group's world size should be less or equal to the world size set by init_process_group"
        )
    if ranks is not None and any(rank != 0 for rank in ranks):
        raise ValueError("the new group's rank should be within the world_size set by init_process_group")
    if ranks is not None and not list(ranks):
        return GroupMember.NON_GROUP_MEMBER
    return ProcessGroup(whole.backend if backend is None else _checked_backend(backend))


# ---- what a group is ----


def get_rank(group: ProcessGroup | None = None) -> int:
    """This process's number in a group: 0."""
    return joined(group).rank()


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes a group has: 1."""
    return joined(group).size()


def get_backend(group: ProcessGroup | None = None) -> str:
    """The name of what carries messages in a group."""
    return joined(group).backend


def get_process_group_ranks(group: ProcessGroup | None) -> list[int]:
    """The numbers of a group's processes among all."""
    return list(range(joined(group).size()))


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The number among all of a process of the group."""
    if group_rank != 0:
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return 0


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The number in the group of one of all processes."""
    if global_rank != 0:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return 0
