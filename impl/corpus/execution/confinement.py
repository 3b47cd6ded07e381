"""Walls around a process: namespaces, a root of its own, another user, no privileges, limits.

`enter` puts up every wall that the system allows and names those that it could not; `restrict` is what one program
gets on top. Whatever fails is reported, never passed over. Nothing here is undone: it ends with the process.

Namespaces and the filter of system calls are Linux's; elsewhere the limits alone are left. Calls go to libc by ctypes,
since `os.unshare` needs Python 3.12 and mounts have no binding at all. Sources: unshare(2), pivot_root(2),
mount_setattr(2), capabilities(7), user_namespaces(7), seccomp(2), prctl(2).
"""

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import resource
import signal
import site
import socket
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

MISSING: Final[Mapping[str, str]] = {
    "network": "programs may open network connections",
    "signals": "programs may signal, and end, other processes of the user who started them",
    "processes": "programs see other processes",
    "ipc": "programs may reach shared memory and message queues of other processes",
    "files": "programs see the whole file system, and may write where this user may",
    "privileges": "programs keep the privileges of the user who started them",
    "tasks": "programs may start threads and processes",
    "memory": "the memory of a program is not limited",
}
"""What it means when a wall is missing."""

_NEWNS: Final = 0x00020000
_NEWUTS: Final = 0x04000000
_NEWIPC: Final = 0x08000000
_NEWUSER: Final = 0x10000000
_NEWPID: Final = 0x20000000
_NEWNET: Final = 0x40000000
SPACES: Final = {"network": _NEWNET, "ipc": _NEWIPC | _NEWUTS, "processes": _NEWPID, "files": _NEWNS}

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_MNT_DETACH: Final = 2
_SYS_MOUNT_SETATTR: Final = 442  # the same number on every architecture
_SYS_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41, "ppc64le": 203, "s390x": 217, "riscv64": 41}
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38

_NOBODY: Final = 65534
_USERS: Final = 4096
_OWN_USERS: Final = 61184  # where systemd, too, takes users that exist only while something runs
SCRATCH: Final = "/scratch"
"""The only folder that can be written in a root of its own."""
_SCRATCH_OPTIONS: Final = "size=64m,nr_inodes=16k,mode=1777"
_SYSTEM_FOLDERS: Final = ("/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/etc", "/opt")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class _Mount(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


@dataclass(frozen=True)
class Walls:
    """What `enter` could not put up, by names of MISSING, and a way to see this process's size from inside."""

    missing: list[str]
    statm: int | None

    def size(self) -> int:
        """Bytes of address space that this process has; 0 where the system does not tell."""
        if self.statm is None:
            return 0
        return int(os.pread(self.statm, 100, 0).split()[0]) * resource.getpagesize()


def enter(scratch: str, spaces: Collection[str] = tuple(SPACES)) -> Walls:
    """Confine this process, and all that it will start, as far as the system allows.

    Must be called with one thread only. It may return in a child process that is the first of a new process
    namespace, while the caller stays behind to pass on its end. `scratch` is the folder that stays writable where no
    root of its own can be made, and the working folder; `spaces` are the namespaces to try.
    """
    missing = dict.fromkeys(MISSING)
    if sys.platform != "linux":
        os.chdir(scratch)
        return Walls([name for name in missing if name not in _held()], None)
    was_root = os.geteuid() == 0
    own_user = _OWN_USERS + os.getpid() % _USERS
    if was_root:
        os.chmod(scratch, 0o777)  # this process may soon be another user
    gained = _unshare(spaces, own_user)
    if "processes" in gained:
        _become_first()
    statm = os.open("/proc/self/statm", os.O_RDONLY)  # there is no /proc inside
    if "files" in gained:
        try:
            _own_root()
        except OSError as error:
            _give_up(f"cannot make a root of its own: {error}")
    else:
        os.chdir(scratch)
    # The user comes after the mounts, which need privileges, and before the death signal, which a change clears.
    is_other = "user" in gained or (os.geteuid() != 0 and was_root) or (was_root and _become_other(own_user))
    if is_other or "processes" in gained:
        gained.add("signals")
    if _drop_privileges():
        gained.add("privileges")
    gained |= _held()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_DUMPABLE, 0)  # no program may open the memory or the files of its cell
    return Walls([name for name in missing if name not in gained], statm)


def restrict(memory: int, seconds: int, file_bytes: int, size: int) -> None:
    """What one program gets: bytes of memory beyond `size`, CPU seconds, bytes of one file; no second task."""
    limits = {
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": file_bytes,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_NPROC": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_AS": memory + size,
    }
    for name, value in limits.items():
        number = getattr(resource, name, None)
        if number is None:
            continue
        with contextlib.suppress(OSError, ValueError):  # some systems know a limit and refuse to set it
            hard = resource.getrlimit(number)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (value, value))
    _filter()


# -- forbidden system calls ------------------------------------------------------------------------

_FORBIDDEN: Final[Mapping[str, tuple[int, tuple[int, ...]]]] = {
    # The audit number of an architecture, and what is refused there: socket; kill, tkill, tgkill, both sigqueueinfo,
    # pidfd_send_signal; ptrace, process_vm_readv and _writev, pidfd_getfd; io_uring_setup (it opens sockets, too);
    # unshare, setns, mount, pivot_root; bpf, perf_event_open, userfaultfd, add_key, request_key, keyctl; fork, vfork,
    # clone, clone3.
    "x86_64": (
        0xC000003E,
        (
            *(41, 62, 200, 234, 129, 297, 424, 101, 310, 311, 438, 425, 272, 308, 165, 155),
            *(321, 298, 323, 248, 249, 250, 57, 58, 56, 435),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(198, 129, 130, 131, 138, 240, 424, 117, 270, 271, 438, 425, 97, 268, 40, 41),
            *(280, 241, 282, 217, 218, 219, 220, 435),
        ),
    ),
}
_OTHER_NUMBERS: Final = 0x40000000  # on x86_64 the calls of the x32 interface lie from here on
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000


class _Instruction(ctypes.Structure):
    """struct sock_filter of seccomp(2)."""

    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Filter(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction))]


def _filter() -> bool:
    """Refuse the forbidden calls to this process for good; False where the system has no such filter."""
    wanted = _rules()
    if wanted is None:
        return False
    return bool(_libc().prctl(_PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(wanted), 0, 0) == 0)


@cache
def _rules() -> _Filter | None:
    """The filter as the kernel reads it; built once, before any fork."""
    if sys.platform != "linux" or platform.machine() not in _FORBIDDEN:
        return None
    architecture, numbers = _FORBIDDEN[platform.machine()]
    count = len(numbers)
    rules = [
        (_LOAD, 0, 0, 4),  # the architecture, then the number of the call
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_IF_AT_LEAST, count + 1, 0, _OTHER_NUMBERS),
        *((_IF_EQUAL, count - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return _Filter(len(rules), (_Instruction * len(rules))(*rules))


def _held() -> set[str]:
    """Which of the walls that need no namespace hold: a child puts them up, and runs against each."""
    _rules()
    pid = os.fork()
    if pid == 0:
        held = 0
        try:
            restrict(memory=_TRIAL, seconds=5, file_bytes=_TRIAL, size=_TRIAL)
            held = sum(1 << place for place, attempt in enumerate(_ATTEMPTS.values()) if _is_refused(attempt))
        finally:
            os._exit(held)
    held = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {name for place, name in enumerate(_ATTEMPTS) if held > 0 and held & 1 << place}


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, MemoryError):
        return True
    return False


def _fork_once() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


_TRIAL: Final = 2**30
_ATTEMPTS: Final[Mapping[str, Callable[[], object]]] = {
    "network": socket.socket,
    "signals": lambda: os.kill(os.getpid(), 0),
    "tasks": _fork_once,
    "memory": lambda: mmap.mmap(-1, 4 * _TRIAL).close(),
}


# -- namespaces ------------------------------------------------------------------------------------


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _prctl(option: int, value: int) -> bool:
    return bool(_libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def _give_up(message: str) -> None:
    print(f"confinement: {message}", file=sys.stderr, flush=True)
    os._exit(3)


def _unshare(spaces: Collection[str], own_user: int) -> set[str]:
    """New namespaces, as many as can be had: as root directly, else inside a user namespace of its own."""
    libc = _libc()
    gained = set()
    if os.geteuid() == 0:
        gained = {name for name in spaces if libc.unshare(SPACES[name]) == 0}
        if gained:
            return gained
        if spaces:
            _become_other(own_user)
    if not spaces:
        return gained
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_NEWUSER) != 0:
        return gained
    try:
        for name, text in {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}.items():
            Path(f"/proc/self/{name}").write_text(text)
    except OSError:
        return gained  # without a map nothing can be owned, and nothing mounted
    gained.add("user")
    return gained | {name for name in spaces if libc.unshare(SPACES[name]) == 0}


def _become_first() -> None:
    """Return in the first process of the new process namespace; the caller waits for it and ends as it ends."""
    pid = os.fork()
    if pid == 0:
        return
    os.closerange(3, 4096)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGKILL))
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


# -- a root of its own -----------------------------------------------------------------------------


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    arguments = [None if each is None else each.encode() for each in (source, target, kind)]
    _check(_libc().mount(*arguments, ctypes.c_ulong(flags), data and data.encode()), f"mount {target}")


def _make_read_only(path: str, recursive: bool) -> None:
    wanted = _Mount(set=1 | 2)  # MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID
    flags = _AT_RECURSIVE if recursive else 0
    result = _libc().syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, ctypes.byref(wanted), ctypes.sizeof(wanted)
    )
    if result != 0:  # before Linux 5.12
        kept = os.statvfs(path).f_flag & (_MS_NOSUID | _MS_NODEV | 8 | 1024 | 2048)
        _mount("none", path, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | kept)


def _own_root() -> None:
    """A small root in memory: system and Python folders, read-only, four devices, an empty scratch folder."""
    folders = _visible()
    links = {folder: os.readlink(folder) for folder in folders if os.path.islink(folder)}
    base, old = "/tmp", "/.old"
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", base, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    os.mkdir(base + old)
    os.chdir(base)
    number = _SYS_PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(0, f"pivot_root has no known number on {platform.machine()}")
    _check(_libc().syscall(number, b".", (base + old).encode()), "pivot_root")
    os.chdir("/")
    for folder in folders:
        if folder in links:
            os.symlink(links[folder], folder)
            continue
        os.makedirs(folder, exist_ok=True)
        _mount(old + folder, folder, None, _MS_BIND | _MS_REC)
        _make_read_only(folder, recursive=True)
    os.mkdir("/dev")
    for device in _DEVICES:
        Path(device).touch()
        _mount(old + device, device, None, _MS_BIND)
    os.makedirs(SCRATCH, exist_ok=True)
    _mount("tmpfs", SCRATCH, "tmpfs", _MS_NOSUID | _MS_NODEV, _SCRATCH_OPTIONS)
    _check(_libc().umount2(old.encode(), _MNT_DETACH), "umount the old root")
    os.rmdir(old)
    if not os.path.exists("/tmp"):
        os.symlink(SCRATCH, "/tmp")
    _make_read_only("/", recursive=False)
    os.chdir(SCRATCH)


def _visible() -> list[str]:
    """Folders that a Python program needs, none inside another, links to folders as they are."""
    paths = [
        *(sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, os.path.dirname(sys.executable)),
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
    ]
    wanted = {os.path.abspath(each) for each in paths} | {os.path.realpath(each) for each in paths}
    kept = [each for each in _SYSTEM_FOLDERS if os.path.isdir(each)]
    for folder in sorted(wanted, key=len):
        if os.path.isdir(folder) and folder != "/" and not _lies_in(folder, kept):
            kept.append(folder)
    return kept


def _lies_in(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


# -- user and privileges ---------------------------------------------------------------------------


def _become_other(own_user: int) -> bool:
    """From root to a user that owns nothing, one for each cell; False where Python's files would be out of reach."""
    for user in (own_user, _NOBODY):
        if not _could_read(user):
            continue
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:
            continue
        return True
    return False


def _could_read(user: int) -> bool:
    needed = [path for path in (os.__file__, resource.__file__, *site.getsitepackages()) if os.path.exists(path)]
    try:
        os.seteuid(user)
    except OSError:
        return False
    try:
        return all(os.access(path, os.R_OK, effective_ids=True) for path in needed)
    finally:
        os.seteuid(0)


def _drop_privileges() -> bool:
    """Give up every capability, for good. True where none is left and none can come back."""
    no_more = _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    empty = (ctypes.c_uint32 * 6)()
    return bool(_libc().capset(header, empty) == 0) and no_more
