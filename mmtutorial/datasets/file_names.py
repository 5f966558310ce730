"""Which file of a folder a person's path means, however it is written; never a guess."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmtutorial.datasets.media import is_file, readable
from mmtutorial.datasets.schema import normal_form

IN_FULL = "write its path within the folder"
Wrong = tuple[str, str]  # what is wrong with a path, and what to do about it
Index = dict[str, tuple[int, ...]]  # a path, and the first two files that it may mean


class Meaning(NamedTuple):
    """What a path may mean: files by number, how sure that is, and how much of the path agrees."""

    files: tuple[int, ...] = ()
    sure: bool = False  # all of the path agrees
    agreed: int = 0  # parts of the path, from its end


class Answer(NamedTuple):
    """The file that a path means, or what is wrong with the path; neither for an empty one."""

    file: str = ""
    wrong: Wrong | None = None
    sure: bool = True  # and not by the end of the path alone


class FileNames:
    """The files of a folder, by all endings of their paths.

    A path may be relative to the folder, or have the folder's name somewhere in front; it may be
    an address, or absolute on this or another computer. Of its endings the longest that any file
    has counts, if only one file has it. Letters may be large or small where that leaves one file.

    Parameters
    ----------
    files : sequence of str
        Relative to the folder, "/" between.
    folder : Path
        Where they lie.

    Examples
    --------
    >>> names = FileNames(["a/1.jpg", "b/1.jpg", "b/2.jpg"], Path("photos"))
    >>> names.find(["photos/a/1.jpg", r"C:\\shop\\B\\1.JPG", "2.jpg", ""])
    (['a/1.jpg', 'b/1.jpg', 'b/2.jpg', ''], {})
    >>> names.find(["1.jpg"])[1][0][0]
    "'1.jpg' may be 'a/1.jpg' or 'b/1.jpg'"
    """

    def __init__(self, files: Sequence[str], folder: Path) -> None:
        self.files, self.folder = files, folder
        self.here = _parts(folder.resolve().as_posix())[0]
        self.own = {each.casefold() for each in (normal_form(folder.name), *self.here[-1:])}
        self.whole: tuple[Index, Index] = {}, {}
        self.endings: tuple[Index, Index] = {}, {}
        for number, file in enumerate(files):
            exact = normal_form(file)
            for place, path in enumerate((exact, exact.casefold())):
                whole, endings = self.whole[place], self.endings[place]
                whole[path] = (*whole.get(path, ())[:1], number)
                start = len(path)
                while start > 0:
                    start = path.rfind("/", 0, start)
                    ending = path[start + 1 :]
                    endings[ending] = (*endings.get(ending, ())[:1], number)

    def find(self, cells: Sequence[str]) -> tuple[list[str], dict[int, Wrong]]:
        """Return the file that each cell names, "" where it names none, and what is wrong there.

        What is wrong stands by the place of the cell: a message that begins with it, and a remedy.
        """
        paths = {cell: _parts(cell) for cell in dict.fromkeys(cells) if cell.strip()}
        meanings = {cell: self._meaning(parts) for cell, (parts, _) in paths.items()}
        by_folders = any(
            paths[cell][1] and each.agreed > 1 and len(each.files) == 1
            for cell, each in meanings.items()
        )
        answers: dict[str, Answer] = {}
        for cell, each in meanings.items():
            parts, rooted = paths[cell]
            if each.files and (self._folders_agree(each, parts) or (rooted and not by_folders)):
                answers[cell] = self._answer(cell, each)
            else:
                answers[cell] = self._unlisted(cell, parts, each.files)
        self._refuse_shared(answers, {cell: "/".join(parts) for cell, (parts, _) in paths.items()})
        found = [answers.get(cell, Answer()) for cell in cells]
        return [each.file for each in found], {
            place: each.wrong for place, each in enumerate(found) if each.wrong
        }

    def _meaning(self, parts: Sequence[str]) -> Meaning:
        """Find what a path means: as it is, behind the folder's name, or by its longest ending."""
        behind = [place + 1 for place, part in enumerate(parts) if part.casefold() in self.own]
        for start in (0, *behind):
            if files := _of(self.whole, parts[start:]):
                return Meaning(files, self._is_here(parts[:start]), agreed=len(parts))
        for start in range(len(parts)):
            if files := _of(self.endings, parts[start:]):
                return Meaning(files, sure=start == 0, agreed=len(parts) - start)
        return Meaning()

    def _is_here(self, front: Sequence[str]) -> bool:
        """Say whether the front of a path leads to this folder: nothing, its name, its address."""
        return len(front) <= 1 or list(front) == self.here

    def _folders_agree(self, meaning: Meaning, parts: Sequence[str]) -> bool:
        """Say whether a path and its file have the same folders, as far as both name any."""
        depth = self.files[meaning.files[0]].count("/") + 1
        return meaning.agreed >= min(depth, len(parts))

    def _answer(self, cell: str, meaning: Meaning) -> Answer:
        if len(meaning.files) == 1:
            return Answer(self.files[meaning.files[0]], sure=meaning.sure)
        one, other = (self.files[each] for each in meaning.files)
        return Answer("", (f"{cell!r} may be {one!r} or {other!r}", IN_FULL))

    def _unlisted(self, cell: str, parts: Sequence[str], near: Sequence[int]) -> Answer:
        """Answer with a file that was not listed, or that there is none."""
        for start in range(1 + (parts[:1] != [] and parts[0].casefold() in self.own)):
            path = "/".join(parts[start:])
            if path and is_file(self.folder / path):  # hidden, or by another way through a link
                return Answer(path)
        remedy = "add it, or leave that empty"
        if len(near) == 1:
            remedy += f", or write {self.files[near[0]]!r} if that is meant"
        return Answer("", (f"{cell!r} is not in {readable(self.folder)}", remedy))

    def _refuse_shared(self, answers: dict[str, Answer], paths: Mapping[str, str]) -> None:
        """Refuse what only ends like a file that another path means: it is another file."""
        cells_of = defaultdict(list)
        for cell, answer in answers.items():
            if answer.file:
                cells_of[answer.file].append(cell)
        for file, cells in cells_of.items():
            if len({paths[cell].casefold() for cell in cells}) > 1:
                for cell in cells:
                    if not answers[cell].sure:
                        message = f"{cell!r} may be {file!r}, and so may another path"
                        answers[cell] = Answer("", (message, IN_FULL))


def _of(indexes: tuple[Index, Index], parts: Sequence[str]) -> tuple[int, ...]:
    """Look a path up as it is written, then in small letters."""
    exact, small = indexes
    path = "/".join(parts)
    return exact.get(path) or small.get(path.casefold(), ())


def _parts(cell: str) -> tuple[list[str], bool]:
    """Cut a path at its folders, and say whether it begins at a root, or is an address.

    >>> _parts(r"C:\\shop\\.\\p1.jpg"), _parts("../a/b.jpg"), _parts("https://a.example/b.jpg?v=2")
    ((['C:', 'shop', 'p1.jpg'], True), (['a', 'b.jpg'], False), (['a.example', 'b.jpg'], True))
    """
    path = normal_form(cell.strip())
    if address := re.match(r"(?i)(https?|ftp|file)://", path):
        path = re.split("[?#]", path[address.end() :])[0]
    path = path.replace("\\", "/")
    rooted = bool(address or re.match(r"/|~|[A-Za-z]:", path))
    parts = posixpath.normpath(path).split("/") if path else []
    return [part for part in parts if part not in ("", ".", "..")], rooted
