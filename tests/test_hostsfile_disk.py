"""A hosts file is saved whole, as it was written, and never over someone else's change."""

import os
import stat

import pytest

from controller.hostsfile import ChangedOnDisk, HostsFile, HostsFileError
from tests.test_hostsfile import TEXT, opened


def test_save_keeps_mode_and_link_and_leaves_no_other_file(tmp_path):
    real = tmp_path / "real.toml"
    real.write_text(TEXT)
    real.chmod(0o640)
    link = tmp_path / "hosts.toml"
    link.symlink_to("real.toml")
    file = HostsFile.open(link)
    file.set_host(1, "workers", 5)
    assert file.dirty
    file.save()
    assert not file.dirty
    assert link.is_symlink()
    assert real.read_text() == file.text()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["hosts.toml", "real.toml"]
    assert not file.changed_on_disk()


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_stays_theirs(tmp_path):
    file = opened(tmp_path, TEXT)
    file.path.chmod(0o660)
    os.chown(file.path, 54321, 54322)
    file.set_host(1, "workers", 5)
    file.save()
    after = file.path.stat()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (54321, 54322, 0o660)


def test_carriage_returns_are_kept_on_disk(tmp_path):
    file = opened(tmp_path, TEXT.replace("\n", "\r\n"))
    file.set_experiment("lr", 0.5)
    file.save()
    content = file.path.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") == TEXT.count("\n") + 3


def test_a_byte_order_mark_is_kept(tmp_path):
    file = opened(tmp_path, "\ufeff" + TEXT)
    assert [host.line for host in file.hosts] == [3, 10]
    file.set_host(1, "workers", 5)
    file.save()
    assert file.path.read_bytes().startswith(b"\xef\xbb\xbf# The lab.")
    assert not HostsFile.open(file.path).dirty


def test_a_change_on_disk_is_noticed_by_content(tmp_path):
    file = opened(tmp_path, TEXT)
    file.set_host(1, "workers", 5)
    before = file.path.stat()
    file.path.write_text(TEXT.replace("four", "FOUR"))
    os.utime(file.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.changed_on_disk()
    with pytest.raises(ChangedOnDisk, match="was changed on disk"):
        file.save()
    assert "FOUR" in file.path.read_text()
    file.save(overwrite=True)
    assert file.path.read_text() == file.text()
    file.path.unlink()
    with pytest.raises(ChangedOnDisk, match="was removed on disk"):
        file.save()


def test_what_can_not_be_written_is_one_sentence(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    file = opened(folder, TEXT)
    file.path.unlink()
    folder.rmdir()
    with pytest.raises(HostsFileError, match="can't be written: "):
        file.save(overwrite=True)
