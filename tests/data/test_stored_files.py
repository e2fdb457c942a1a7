"""Files in folders and in archives read alike."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from seethrough.data.stored_files import FolderFiles, TarFiles

CONTENTS = {"a.txt": b"first", "below/b.txt": b"", "below/c.bin": bytes(range(256)) * 9}


@pytest.fixture
def folder(tmp_path: Path) -> FolderFiles:
    for name, content in CONTENTS.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    return FolderFiles(tmp_path / "files")


def write_tar(path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:
        folder = tarfile.TarInfo("below")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in CONTENTS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_folder_and_tar_hold_the_same(folder: FolderFiles, tmp_path: Path) -> None:
    packed = TarFiles.index(write_tar(tmp_path / "files.tar", "w:"))
    for files in (folder, packed):
        for name, content in CONTENTS.items():
            assert name in files
            with files.open(name) as file:
                assert file.read() == content
        assert "d.txt" not in files
        assert "below" not in files


def test_threads_read_one_archive_at_once(tmp_path: Path) -> None:
    files = TarFiles.index(write_tar(tmp_path / "files.tar", "w:"))
    names = list(CONTENTS) * 50
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: files.open(name).read(), names))
    assert found == [CONTENTS[name] for name in names]


def test_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "files.tar.gz", "w:gz")
    with pytest.raises(ValueError, match=r"files.tar.gz is not an uncompressed tar archive"):
        TarFiles.index(path)


def test_other_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("file,class_index\n" * 100)
    with pytest.raises(ValueError, match=r"labels.csv is not an uncompressed tar archive"):
        TarFiles.index(path)
