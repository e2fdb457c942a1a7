"""Where picture files lie: in a folder, or in an uncompressed tar archive that stays packed."""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """Files below a folder, by their path in it."""

    root: Path
    """The folder."""

    def open(self, name: str) -> io.BufferedReader:
        """Return the file opened for reading bytes."""
        return (self.root / name).open("rb")

    def __contains__(self, name: str) -> bool:
        """Return whether there is such a file."""
        return (self.root / name).is_file()


@dataclass(frozen=True, slots=True)
class TarFiles:
    """Files in an uncompressed tar, by their member's name; any thread may read any of them."""

    path: Path
    """The archive."""
    places: dict[str, tuple[int, int]]
    """Member's name to its first byte in the archive and its length."""

    @classmethod
    def index(cls, path: Path) -> "TarFiles":
        """Return the files of an archive; its headers are read, not its content.

        Raises ValueError for a compressed archive and for what is none.
        """
        try:
            with tarfile.open(path, "r:") as archive:
                members = [member for member in archive if member.isreg() and not member.sparse]
        except tarfile.TarError as error:
            raise ValueError(f"{path} is not an uncompressed tar archive ({error})") from error
        return cls(path, {member.name: (member.offset_data, member.size) for member in members})

    def open(self, name: str) -> io.BytesIO:
        """Return the file's bytes, in memory."""
        offset, size = self.places[name]
        with self.path.open("rb") as archive:
            archive.seek(offset)
            return io.BytesIO(archive.read(size))

    def __contains__(self, name: str) -> bool:
        """Return whether there is such a file."""
        return name in self.places
