"""The folders below var, and who may look into them.

Normally all of var belongs to the user who runs the shop, mode 0700. PostgreSQL refuses to run as
root, so root (containers, CI) runs it as `nobody`, who owns the folder of data and socket and
nothing else. For nobody to reach it, var gets nobody's group and mode 0710, and directories above
it (and above the binaries) the search bit and no more: one can pass through them to a name one
knows, not list them. The other folders of var stay 0700 and root's.
"""

import os
import pwd
import stat
from pathlib import Path

from cardshop.embedded.processes import Account, CannotRun, Say

PRIVATE = ("log", "mail", "media", "metrics", "redis", "secrets", "static")
LOG_LIMIT = 10 * 1024 * 1024


def postgres_account() -> Account | None:
    """Who runs PostgreSQL if we may not: `nobody` for root, else None, which is ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise CannotRun(
            "PostgreSQL refuses to run as root, and this system has no user `nobody`. "
            "Start the shop as another user, or set DATABASE_URL."
        ) from None
    return Account("nobody", nobody.pw_uid, nobody.pw_gid)


def prepare_var(var: Path) -> None:
    """Make var and its private folders. Raises CannotRun if they belong to somebody else."""
    account = postgres_account()
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        own(var)
        if account:
            os.chown(var, -1, account.gid)
        var.chmod(0o710 if account else 0o700)
        for name in PRIVATE:
            (var / name).mkdir(mode=0o700, exist_ok=True)
            own(var / name)
            (var / name).chmod(0o700)
    except OSError as error:
        raise CannotRun(
            f"{error.filename}: {error.strerror}. Set CARDSHOP_VAR to a directory of yours."
        ) from None


def own(folder: Path, account: Account | None = None) -> None:
    """Raises CannotRun unless `folder` is a real directory of the account's, or of ours."""
    owner = account.uid if account else os.geteuid()
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != owner:
        raise CannotRun(
            f"{folder} belongs to user {seen.st_uid} (expected: {owner}) or is no directory. "
            "Start the shop as its owner, or set CARDSHOP_VAR to another directory."
        )


def private_folder(folder: Path, account: Account | None = None) -> None:
    """Make `folder`, 0700, for the account or for us. Safe in /tmp: an impostor's is refused."""
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700)
        if account:
            os.chown(folder, account.uid, account.gid)
    own(folder, account)
    folder.chmod(0o700)


def let_reach(target: Path, account: Account, say: Say) -> None:
    """Let the account search the directories above `target`, where it could not yet."""
    for folder in target.parents:
        seen = folder.stat()
        bit = _bit_for(account, seen, stat.S_IXUSR)
        if not seen.st_mode & bit:
            say(f"letting user {account.name} pass through {folder}, for PostgreSQL cannot run as root")
            folder.chmod(stat.S_IMODE(seen.st_mode) | bit)


def let_read(tree: Path, account: Account, say: Say) -> None:
    """Let the account read and run the files of an installed package; a strict umask may forbid it."""
    let_reach(tree / "any", account, say)
    for folder, _, names in os.walk(tree):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            seen = path.stat()
            mode = stat.S_IMODE(seen.st_mode)
            wanted = _bit_for(account, seen, stat.S_IRUSR)
            if mode & stat.S_IXUSR:
                wanted |= _bit_for(account, seen, stat.S_IXUSR)
            if mode & wanted != wanted:
                path.chmod(mode | wanted)


def _bit_for(account: Account, seen: os.stat_result, owner_bit: int) -> int:
    """The permission bit that decides for the account: the owner's, the group's or the others'."""
    if seen.st_uid == account.uid:
        return owner_bit
    return owner_bit >> 3 if seen.st_gid == account.gid else owner_bit >> 6


def log_file(var: Path, name: str) -> Path:
    """var/log/NAME; what is larger than LOG_LIMIT moves to NAME.1 first."""
    path = var / "log" / name
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name(f"{name}.1"))
    return path


def tail(path: Path, start: int, lines: int = 12) -> str:
    """The last lines written since byte `start`, to show with an error."""
    with path.open("rb") as file:
        file.seek(start)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
