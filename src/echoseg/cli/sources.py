"""From the words of a command line to cases: files, folders of images, and folders that are searched for cines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from echoseg.cli.output import printable
from echoseg.cli.views import VIEWS_FILE, Listed, ViewTable, read_views
from echoseg.errors import InputError
from echoseg.io.door import quiet, reading
from echoseg.io.sniff import Format, sniff
from echoseg.io.studies import ObjectFacts, read_facts
from echoseg.report import RESULT_FILE
from echoseg.report.studies import STUDIES_DIR

_SUFFIXES = (
    ".nii.gz", ".nii", ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".gif", ".dcm", ".dicom", ".ima",
    ".npz", ".mhd", ".mha", ".png", ".jpg", ".jpeg", ".bmp",
)  # fmt: skip
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
_LABEL_NAME = re.compile(r"(^|[_-])(gt|masks?|labels?)$", re.IGNORECASE)
_NAMED = 3  # how many files a message names before it counts
_NO_CINE = "file that is no cine"


@dataclass(frozen=True)
class Source:
    """A case to work on.

    Attributes:
        name: name of its folder of results, unique in the call.
        path: file, or folder of images.
        problem: why there is nothing to read, found before opening it.
        facts: what the header of a DICOM file says of patient, study and view.
        listed: what a table of views says of it.
        origin: address on a server that it was fetched from, None for what lies on disk.
    """

    name: str
    path: Path
    problem: str | None = None
    facts: ObjectFacts | None = None
    listed: Listed | None = None
    origin: str | None = None

    @property
    def shown(self) -> str:
        """The path or address as messages and records have it."""
        return printable(self.origin or str(self.path))

    @property
    def full(self) -> str:
        """What a result says it was made from: full path or address."""
        return self.origin or str(self.path.absolute())


@dataclass
class _Search:
    """What lies in the folders that were searched."""

    found: list[Path] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)
    ignored: dict[Path, str] = field(default_factory=dict)
    facts: dict[Path, ObjectFacts] = field(default_factory=dict)
    views: ViewTable = field(default_factory=ViewTable)


@dataclass(frozen=True)
class Sources:
    """What a command line names.

    Attributes:
        cases: in the order in which they were named, those of a folder by name.
        ignored: files of searched folders that are left alone, each with a noun for what it is.
    """

    cases: tuple[Source, ...]
    ignored: Mapping[Path, str] = field(default_factory=dict)

    def ignored_text(self) -> str:
        """One sentence about the files that were left alone."""
        return left_alone_text([(path.name, noun) for path, noun in self.ignored.items()])


def left_alone_text(objects: Sequence[tuple[str, str]]) -> str:
    """One sentence about what is left alone, from names and nouns.

    >>> left_alone_text([("notes.txt", "file that is no cine")])
    'left alone: 1 file that is no cine (notes.txt)'
    >>> left_alone_text([("IM_7", "still image"), ("IM_8", "still image"), ("IM_9", "Comprehensive SR object")])
    'left alone: 2 still images (IM_7, IM_8); 1 Comprehensive SR object (IM_9)'
    """
    return f"left alone: {_kinds(objects)}"


def _kinds(objects: Sequence[tuple[str, str]]) -> str:
    kinds: dict[str, list[str]] = {}
    for name, noun in objects:
        kinds.setdefault(noun, []).append(name)
    return "; ".join(f"{counted(len(names), noun)} ({listed(names)})" for noun, names in kinds.items())


def counted(number: int, noun: str) -> str:
    """A number and its noun.

    >>> counted(2, "still image"), counted(1, "case")
    ('2 still images', '1 case')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number} files that are no cine" if noun == _NO_CINE else f"{number} {noun}s"


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
    folder are one cine, unless other cines lie beside them. Results of earlier calls, hidden files, masks (`x_gt.nii.gz`,
    `masks/`) and DICOM objects that are no gray cine of an apical view are left alone. A `views.csv` in a folder has the last word on
    the files that it lists.

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
            search.problems[path] = _nothing_in(path, list(search.ignored.items())[ignored_before:])
    paths = _without_repeats(search.found)
    cases = tuple(_source(name, path, search) for name, path in zip(case_names(paths), paths, strict=True))
    return Sources(cases, search.ignored)


def _source(name: str, path: Path, search: _Search) -> Source:
    return Source(
        name,
        path,
        search.problems.get(path) or _bad_name(path),
        search.facts.get(path) or _facts_of_named(path),
        search.views.get(path),
    )


def _facts_of_named(path: Path) -> ObjectFacts | None:
    """Facts about a file that was named and not searched for; whatever is wrong with it is told when it is opened."""
    try:
        with reading(path), quiet():
            return read_facts(path) if path.is_file() and sniff(path) is Format.DICOM else None
    except InputError:
        return None


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
    tidy = re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|\ud800-\udfff]", "_", name).lstrip(".") or "case"
    return f"{tidy}_" if tidy.casefold() == STUDIES_DIR else tidy  # where the results of studies lie


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


def _nothing_in(folder: Path, ignored: Sequence[tuple[Path, str]]) -> str:
    if not ignored:
        return f"{folder}: no cine in this folder, it holds no files; give a file, or a folder with cines or images"
    what = _kinds([(path.name, noun) for path, noun in ignored])
    return f"{folder}: no cine in this folder, it holds {what}; give a file, or a folder with cines or images"


def _walk(folder: Path, search: _Search, seen: set[Path], *, masks: bool) -> None:
    """Add what is in a folder and below it; in a folder of masks, nothing is a cine."""
    place = folder.resolve()
    if place in seen or (folder / RESULT_FILE).is_file():
        return
    seen.add(place)  # a link to a folder above would be searched for ever
    entries = _entries(folder)
    if (folder / VIEWS_FILE).is_file():
        search.views |= read_views(folder / VIEWS_FILE)
    files = [entry for entry in entries if entry.is_file() and entry.name != VIEWS_FILE]
    images = [file for file in files if file.suffix.lower() in _IMAGE_SUFFIXES]
    nouns = {file: _NO_CINE if masks else _no_cine(file, search) for file in files if file not in set(images)}
    cines = [file for file, noun in nouns.items() if noun is None]
    search.found += cines
    search.ignored |= {file: noun for file, noun in nouns.items() if noun is not None}
    skipped = _skipped(search.views.get(folder))
    if images and not cines and not masks and skipped is None:
        search.found.append(folder)
    else:
        search.ignored |= dict.fromkeys(images, skipped or _NO_CINE)
    for entry in entries:
        if entry.is_dir():
            _walk(entry, search, seen, masks=masks or _LABEL_NAME.search(entry.name) is not None)


def _entries(folder: Path) -> list[Path]:
    with reading(folder):
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _skipped(said: Listed | None) -> str | None:
    """The noun of a table of views for what is to be left alone."""
    return None if said is None or said.view is not None else said.why_not


def _no_cine(file: Path, search: _Search) -> str | None:
    """A noun for a file that nobody named and that is left alone, None for one to segment: see `find_cines`."""
    said = search.views.get(file)
    if said is not None and said.view is None:
        return said.why_not
    if _LABEL_NAME.search(_stem(file)):
        return None if said else _NO_CINE
    try:
        with reading(file), quiet():
            found = sniff(file)
    except InputError:
        return None if said or _suffix(file) else _NO_CINE
    if found is Format.DICOM:
        facts = read_facts(file)
        if facts is not None:
            search.facts[file] = facts
        return None if facts is None or said else facts.left_alone
    wanted = said is not None or _may_be_cine(file, found)
    return None if wanted else _NO_CINE


def _may_be_cine(file: Path, found: Format) -> bool:
    """False for an archive that holds no frames, and for a single image that does not call itself one."""
    return _holds_frames(file) if found is Format.NPZ else found is not Format.IMAGES


def _holds_frames(file: Path) -> bool:
    """Whether a zip archive is a cine, and not masks alone or a document."""
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            return "frames.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return _suffix(file) == ".npz"
