"""From the words of a command line to cases: files, folders of images, and folders that are searched for cines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from echoseg.cli.output import printable
from echoseg.errors import InputError
from echoseg.io.door import quiet, reading
from echoseg.io.sniff import Format, sniff
from echoseg.report import RESULT_FILE

_SUFFIXES = (
    ".nii.gz", ".nii", ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif", ".dcm", ".dicom", ".ima",
    ".npz", ".mhd", ".mha", ".png", ".jpg", ".jpeg", ".bmp",
)  # fmt: skip
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_LABEL_NAME = re.compile(r"(^|[_-])(gt|masks?|labels?)$", re.IGNORECASE)
_NAMED = 3  # how many files a message names before it counts


@dataclass(frozen=True)
class Source:
    """A case to work on.

    Attributes:
        name: name of its folder of results, unique in the call.
        path: file, or folder of images.
        problem: why there is nothing to read, found before opening it.
    """

    name: str
    path: Path
    problem: str | None = None

    @property
    def shown(self) -> str:
        """The path as messages and records have it."""
        return printable(str(self.path))


@dataclass
class _Search:
    """What lies in the folders that were searched."""

    found: list[Path] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)
    ignored: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Sources:
    """What a command line names.

    Attributes:
        cases: in the order in which they were named, those of a folder by name.
        ignored: files of searched folders that are no cine.
    """

    cases: tuple[Source, ...]
    ignored: tuple[Path, ...] = ()

    def ignored_text(self) -> str:
        """One sentence about the files that were left alone."""
        files = "1 file that is" if len(self.ignored) == 1 else f"{len(self.ignored)} files that are"
        return f"left alone: {files} no cine ({listed([path.name for path in self.ignored])})"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def named_files(inputs: Sequence[Path]) -> Sources:
    """Every input as one case; folders are not searched."""
    paths = _without_repeats(inputs)
    problems = [_a_folder(path) if path.is_dir() else _bad_name(path) for path in paths]
    return Sources(tuple(map(Source, case_names(paths), paths, problems)))


def find_cines(inputs: Sequence[Path], out: Path) -> Sources:
    """The cines among files and in folders.

    A file that is named is a case, whatever it is. A folder is searched at any depth: a file is a case if it is a cine by its
    content, or claims to be one by its name, so that a damaged one is not passed over in silence. The images that lie in one
    folder are one cine, unless other cines lie beside them. Results of earlier calls, hidden files and masks (`x_gt.nii.gz`,
    `masks/`) are left alone.

    Args:
        inputs: files and folders.
        out: folder of the results, which is not searched.
    """
    search = _Search()
    seen = {out.resolve()}
    for path in inputs:
        if not path.is_dir():
            search.found.append(path)
            continue
        before, ignored_before = len(search.found), len(search.ignored)
        _walk(path, search, seen - {path.resolve()}, masks=False)
        if len(search.found) == before:
            search.found.append(path)
            search.problems[path] = _nothing_in(path, search.ignored[ignored_before:])
    paths = _without_repeats(search.found)
    cases = tuple(
        Source(name, path, search.problems.get(path) or _bad_name(path))
        for name, path in zip(case_names(paths), paths, strict=True)
    )
    return Sources(cases, tuple(search.ignored))


def case_names(paths: Sequence[Path]) -> list[str]:
    """Names of cases: file names without suffix, with as much more in front as it takes to tell them apart.

    >>> case_names([Path("/a/one.avi"), Path("/a/two.nii.gz")])
    ['one', 'two']
    >>> case_names([Path("/p1/cine.avi"), Path("/p2/cine.avi"), Path("/p2/cine.mp4")])
    ['cine', 'cine.avi', 'cine.mp4']
    >>> case_names([Path("/p1/cine.avi"), Path("/p2/cine.avi")])
    ['p1-cine', 'p2-cine']
    """
    files = [path.resolve() if path.name in ("", "..") else path.absolute() for path in paths]
    siblings = Counter((file.parent, _stem(file).casefold()) for file in files)
    alone = [siblings[file.parent, _stem(file).casefold()] == 1 for file in files]
    ends = [_stem(file) if one else file.name for file, one in zip(files, alone, strict=True)]
    parents = [file.parent.parts[1:] for file in files]
    depths = [0] * len(files)
    while True:
        names = [
            _tidy("-".join((*above[len(above) - depth :], end)))
            for above, end, depth in zip(parents, ends, depths, strict=True)
        ]
        counts = Counter(name.casefold() for name in names)
        clashing = [i for i, name in enumerate(names) if counts[name.casefold()] > 1 and depths[i] < len(parents[i])]
        if not clashing:
            return _numbered(names)
        for i in clashing:
            depths[i] += 1


def _numbered(names: list[str]) -> list[str]:
    """Names of which none is left twice."""
    taken: set[str] = set()
    for i, name in enumerate(names):
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        names[i] = unique
    return names


def _stem(path: Path) -> str:
    """File name without a suffix that is known; a DICOM UID keeps its dots."""
    suffix = _suffix(path)
    return path.name[: len(path.name) - len(suffix)] if suffix != path.name.lower() else path.name


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")


def _tidy(name: str) -> str:
    """A name for a folder that nobody has to quote, and that is not hidden."""
    return re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|\ud800-\udfff]", "_", name).lstrip(".") or "case"


def _bad_name(path: Path) -> str | None:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return f"{path}: a name that is not UTF-8 and cannot be written into a result; rename the file"
    return None


def _a_folder(path: Path) -> str:
    return f"{path}: a folder; name the files in it, for example {path}/*/masks.nii.gz"


def _without_repeats(paths: Sequence[Path]) -> list[Path]:
    return list({path.absolute(): path for path in paths}.values())


def _nothing_in(folder: Path, ignored: Sequence[Path]) -> str:
    if not ignored:
        return f"{folder}: no cine in this folder, it holds no files; give a file, or a folder with cines or images"
    names = listed([path.name for path in ignored])
    return f"{folder}: no cine among the {len(ignored)} files in it ({names}); give a file, or a folder with cines or images"


def _walk(folder: Path, search: _Search, seen: set[Path], *, masks: bool) -> None:
    """Add what is in a folder and below it; in a folder of masks, nothing is a cine."""
    place = folder.resolve()
    if place in seen or (folder / RESULT_FILE).is_file():
        return
    seen.add(place)  # a link to a folder above would be searched for ever
    entries = _entries(folder)
    files = [entry for entry in entries if entry.is_file()]
    images = [file for file in files if file.suffix.lower() in _IMAGE_SUFFIXES]
    others = [file for file in files if file not in set(images)]
    cines = [] if masks else [file for file in others if _is_cine(file)]
    search.found += cines
    search.ignored += [file for file in others if file not in set(cines)]
    if images and not cines and not masks:
        search.found.append(folder)
    else:
        search.ignored += images
    for entry in entries:
        if entry.is_dir():
            _walk(entry, search, seen, masks=masks or _LABEL_NAME.search(entry.name) is not None)


def _entries(folder: Path) -> list[Path]:
    with reading(folder):
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_cine(file: Path) -> bool:
    """Whether a file that nobody named is to be segmented: see `find_cines`."""
    if _LABEL_NAME.search(_stem(file)):
        return False
    try:
        with reading(file), quiet():
            found = sniff(file)
    except InputError:
        return _suffix(file) != ""
    match found:
        case Format.DICOM:
            return _may_hold_pixels(file)
        case Format.NPZ:
            return _holds_frames(file)
        case Format.IMAGES:
            return False  # without the suffix of an image
    return True


def _may_hold_pixels(file: Path) -> bool:
    """False for DICOM that is something else by its class: reports, documents, the index of a disk."""
    from pydicom import uid
    from pydicom.filereader import read_file_meta_info

    from echoseg.io.dicom import DAMAGE

    try:
        with reading(file, extra=DAMAGE), quiet():
            sop_class = uid.UID(str(read_file_meta_info(file).get("MediaStorageSOPClassUID", "")))
    except InputError:
        return True  # opening it will tell what is wrong
    known = sop_class.name != str(sop_class)
    return "Image" in sop_class.name or not known


def _holds_frames(file: Path) -> bool:
    """Whether a zip archive is a cine, and not masks alone or a document."""
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            return "frames.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return _suffix(file) == ".npz"
