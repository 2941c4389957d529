"""The cache on disk: what was put in comes back or nothing does, whatever happens to the directory."""

import errno
import multiprocessing
import os
import stat
import subprocess
import sys
import textwrap
import time

import pytest

from rushlight.native import cache

KEY = "0123456789abcdef" * 4
OTHER = "fedcba9876543210" * 4
COUNTING = "00" + KEY[2:]
CONTENT = bytes(range(256)) * 16
SOMEBODY = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root is above permissions")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", str(tmp_path / "a" / "cache"))
    return tmp_path / "a" / "cache"


@pytest.fixture
def entry(folder):
    """The file of one entry."""
    cache.put(KEY, CONTENT)
    return folder / f"{KEY}.kernel"


def works():
    """Whether what is put now comes back."""
    cache.put(OTHER, CONTENT)
    return cache.get(OTHER) == CONTENT


# ---- as intended ----


@pytest.mark.parametrize("content", [b"", b"x", CONTENT, os.urandom(1 << 20)])
def test_what_is_put_comes_back(content):
    assert cache.get(KEY) is None
    cache.put(KEY, content)
    assert cache.get(KEY) == content
    cache.put(KEY, content[:1])
    assert cache.get(KEY) == content[:1] and cache.usage().entries == 1


def test_directory_and_files_are_private(folder, entry):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert os.listdir(folder) == [entry.name]


def test_private_under_any_umask(folder):
    for mask in (0o000, 0o077):
        before = os.umask(mask)
        try:
            assert works()
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_usage_counts(entry):
    cache.put(OTHER, b"x")
    assert cache.usage() == (2, sum(file.stat().st_size for file in entry.parent.iterdir()))


@pytest.mark.parametrize("value", ["", "0"])
def test_switched_off(monkeypatch, tmp_path, value):
    monkeypatch.setenv("RUSHLIGHT_CACHE", value)
    monkeypatch.chdir(tmp_path)
    assert cache.directory() is None and not works() and cache.usage() == (0, 0)
    assert os.listdir(tmp_path) == []


def test_the_default_is_the_users_cache_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("RUSHLIGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    import platformdirs

    assert cache.directory() == platformdirs.user_cache_path("rushlight", appauthor=False)
    if sys.platform == "linux":
        assert cache.directory() == tmp_path / "xdg" / "rushlight" and works()


def test_without_platformdirs_there_is_none(monkeypatch):
    monkeypatch.delenv("RUSHLIGHT_CACHE")
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    assert cache.directory() is None and not works()


def test_a_link_to_the_directory_may_be_followed(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert works() and len(os.listdir(tmp_path / "elsewhere")) == 1


# ---- what breaks by itself ----


def test_every_cut_is_noticed(entry):
    whole = entry.read_bytes()
    for length in [*range(80), len(whole) // 2, len(whole) - 1]:
        entry.write_bytes(whole[:length])
        assert cache.get(KEY) is None
    entry.write_bytes(whole + b"\0")
    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT


def test_every_changed_byte_is_noticed(entry):
    whole = entry.read_bytes()
    for at in [*range(80), len(whole) // 2, len(whole) - 1]:
        entry.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert cache.get(KEY) is None
    entry.write_bytes(whole)
    assert cache.get(KEY) == CONTENT


def test_an_entry_under_another_name_is_noticed(entry):
    os.rename(entry, entry.parent / f"{OTHER}.kernel")
    assert cache.get(OTHER) is None


def test_another_format_version_is_not_read(entry, monkeypatch):
    monkeypatch.setattr(cache, "_VERSION", 2)
    assert cache.get(KEY) is None


def test_enormous_files_are_not_read(entry):
    with open(entry, "r+b") as file:
        file.truncate(1 << 40)
    assert cache.get(KEY) is None


def test_things_that_are_no_files(entry):
    name = entry.name
    entry.unlink()
    (entry.parent / name).mkdir()
    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)  # a directory cannot be replaced by a file
    assert cache.get(KEY) is None and works() and len(os.listdir(entry.parent)) == 2


def test_a_pipe_is_not_waited_for(entry):
    entry.unlink()
    os.mkfifo(entry, 0o600)
    assert cache.get(KEY) is None


def test_the_directory_may_vanish_at_any_time(folder):
    assert works()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert cache.get(OTHER) is None and works()


# ---- what somebody else may have made ----


@as_root
def test_a_directory_of_another_user_is_not_used(folder, entry):
    os.chown(folder, SOMEBODY, SOMEBODY)
    assert cache.get(KEY) is None and not works() and cache.usage() == (0, 0)
    assert os.listdir(folder) == [entry.name]


@as_root
def test_a_file_of_another_user_is_not_read_but_replaced(entry):
    os.chown(entry, SOMEBODY, SOMEBODY)
    assert cache.get(KEY) is None
    cache.put(KEY, CONTENT)
    assert cache.get(KEY) == CONTENT and entry.stat().st_uid == os.geteuid()


def test_a_directory_of_another_user_as_the_system_says(folder, entry, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
    assert cache.get(KEY) is None and not works()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777, 0o720, 0o702])
def test_a_directory_that_others_may_write_to_is_not_used(folder, entry, mode):
    folder.chmod(mode)
    assert cache.get(KEY) is None and not works() and os.listdir(folder) == [entry.name]
    folder.chmod(0o755)
    assert cache.get(KEY) == CONTENT


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o622])
def test_a_file_that_others_may_write_to_is_not_read(entry, mode):
    entry.chmod(mode)
    assert cache.get(KEY) is None


def test_a_link_is_not_read_and_what_it_shows_is_not_written(entry, tmp_path):
    target = tmp_path / "precious"
    os.rename(entry, target)
    before = target.read_bytes()
    entry.symlink_to(target)
    assert cache.get(KEY) is None
    cache.put(KEY, b"new")
    assert cache.get(KEY) == b"new" and target.read_bytes() == before and not entry.is_symlink()


# ---- where nothing can be written ----


def test_the_directory_is_a_file(folder):
    folder.parent.mkdir()
    folder.write_text("x")
    assert cache.get(KEY) is None and not works() and folder.read_text() == "x"


def test_the_directory_cannot_be_made(monkeypatch):
    monkeypatch.setenv("RUSHLIGHT_CACHE", "/proc/nothing/can/be/made/here")
    assert cache.get(KEY) is None and not works()


@pytest.mark.parametrize("value", ["x" * 5000, "/dev/null/x", "~nobody/\udcff"])
def test_strange_names(monkeypatch, tmp_path, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSHLIGHT_CACHE", value)
    works()


def test_a_name_that_no_system_takes(monkeypatch):
    monkeypatch.setattr(cache, "directory", lambda: cache.Path("/tmp/a\0b"))
    assert cache.get(KEY) is None and not works() and cache.usage() == (0, 0)


@not_as_root
def test_a_read_only_directory_still_serves(folder, entry):
    folder.chmod(0o500)
    assert cache.get(KEY) == CONTENT and not works()
    folder.chmod(0o700)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_files_that_cannot_be_made(folder, entry, monkeypatch, code):
    """As on a read-only file system. The refusal is staged, because root may write anywhere."""
    really = os.open

    def refuse(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            raise OSError(code, os.strerror(code))
        return really(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        assert cache.get(KEY) == CONTENT and not works()
    assert works() and len(os.listdir(folder)) == 2


def test_a_file_that_cannot_be_renamed(folder, entry, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "staged")

    monkeypatch.setattr(os, "replace", refuse)
    assert not works() and cache.get(KEY) == CONTENT and os.listdir(folder) == [entry.name]


def test_a_file_that_cannot_grow(folder, entry):
    """A full disk, as the limit on file sizes shows it: the write itself fails, in the middle."""
    code = f"""
        import os, resource, signal
        from rushlight.native import cache
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        cache.put({OTHER!r}, bytes(4096))
        print(cache.get({OTHER!r}), len(cache.get({KEY!r})), len(os.listdir({str(folder)!r})))
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment
    )
    assert (done.stdout, done.stderr) == (f"None {len(CONTENT)} 1\n", "")


def test_no_file_descriptor_is_left(entry):
    def opened():
        return len(os.listdir("/proc/self/fd"))

    before = opened()
    for _ in range(50):
        cache.get(KEY), cache.get(OTHER), cache.put(KEY, CONTENT), cache.usage()
    entry.parent.chmod(0o777)
    cache.get(KEY), cache.put(KEY, CONTENT), cache.usage()
    assert opened() == before


# ---- bounded ----


def test_the_entries_unused_for_longest_go_first(folder, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 100_000)
    now = time.time()
    for i in range(30):
        cache.put(f"{i:064}", bytes(10_000))
        age = 10_000 - i if i else 0  # the first is the one used last
        if cache.get(f"{i:064}") is not None:
            os.utime(folder / f"{i:064}.kernel", (now - age, now - age))
        assert cache.usage().nbytes <= 100_000 + 10_000 + 100
    kept = sorted(int(name.split(".")[0]) for name in os.listdir(folder))
    assert kept[0] == 0 and kept[1:] == list(range(30 - len(kept) + 1, 30)) and len(kept) >= 8


def test_use_is_noted(entry):
    old = time.time() - 10 * cache._HOUR
    os.utime(entry, (old, old))
    assert cache.get(KEY) == CONTENT and time.time() - entry.stat().st_mtime < 100


def test_unfinished_files_of_the_dead_are_removed(folder, entry):
    old = time.time() - 2 * cache._HOUR
    (folder / "dead.part").write_bytes(CONTENT)
    os.utime(folder / "dead.part", (old, old))
    (folder / "alive.part").write_bytes(CONTENT)
    (folder / "not ours").write_bytes(CONTENT)
    os.utime(folder / "not ours", (old, old))
    cache.put(OTHER, CONTENT)
    assert (folder / "dead.part").exists()
    cache.put(COUNTING, CONTENT)
    kept = {entry.name, f"{OTHER}.kernel", f"{COUNTING}.kernel", "alive.part", "not ours"}
    assert set(os.listdir(folder)) == kept


def test_what_is_too_large_is_not_kept(folder):
    cache.put(KEY, bytes(cache._LARGEST))
    assert cache.get(KEY) is None


# ---- several processes ----


def _hammer(seed):
    for i in range(200):
        key = f"{(seed * i) % 10:064}"
        cache.put(key, key.encode() * 500)
        found = cache.get(key)
        if found is not None and found != key.encode() * 500:
            return False
    return True


@pytest.mark.parametrize("limit", [cache.LIMIT, 100_000])
def test_processes_at_once(folder, monkeypatch, limit):
    monkeypatch.setattr(cache, "LIMIT", limit)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert all(pool.map(_hammer, [1, 3, 7, 9]))
    assert all(name.endswith(".kernel") for name in os.listdir(folder))
    assert cache.usage().nbytes <= limit + 4 * 33_000  # each may have added one entry since it last looked


def test_a_process_killed_while_it_writes_leaves_nothing_wrong(folder, entry):
    code = """
        import os
        from rushlight.native import cache
        while True:
            for i in range(10):
                cache.put(f"{i:064}", f"{i}".encode() * 100_000)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment)
    while len(os.listdir(folder)) < 8:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert all(cache.get(f"{i:064}") in (None, f"{i}".encode() * 100_000) for i in range(10))
    assert cache.get(KEY) == CONTENT
