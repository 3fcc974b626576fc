"""A study of a DICOM server as the input of a call, and its results sent back.

The study is fetched whole before the first cine is segmented, into a hidden folder of `-o` that is removed at the end. Results are sent when
every cine has one.
"""

from __future__ import annotations

import getpass
import netrc
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from tyro.conf import arg

from echoseg.cli.options import Flag
from echoseg.cli.output import complain
from echoseg.cli.sources import Source, Sources, case_names, left_alone_text
from echoseg.cli.studies import study_mark
from echoseg.errors import InputError, UsageError
from echoseg.io.dicomweb import DicomServer, Login, RemoteObject, ServerError, check_address, is_loopback
from echoseg.io.locks import CLAIMS, claimed
from echoseg.report import CaseRecord
from echoseg.report.studies import STUDIES_DIR, StudyRecord

_NONE = "(default: none)"
_ROOM, _IN_USE = ".fetched-", "in-use"
"""Start of the name of the hidden folder, and the file in it that its process claims."""


@dataclass(frozen=True)
class ServerOptions:
    """Which study of which server.

    Attributes:
        dicomweb: root of a DICOMweb service, e.g. https://pacs.example/dicom-web; a study of it is segmented in place of files.
        study: StudyInstanceUID of that study.
        store: send the DICOM objects among the results to the server when every cine of the study has one.
        user: name for the server; without it the entry of the host in ~/.netrc is used, where there is one.
        password_file: file whose first line is the password; without it ~/.netrc is asked, then you are.
        ca_file: PEM file with the certificates to trust, for a server with one of its own.
    """

    dicomweb: Annotated[str | None, arg(metavar="URL", help_behavior_hint=_NONE)] = None
    study: Annotated[str | None, arg(metavar="UID", help_behavior_hint=_NONE)] = None
    store: Flag = False
    user: Annotated[str | None, arg(metavar="NAME", help_behavior_hint=_NONE)] = None
    password_file: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint=_NONE)] = None
    ca_file: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint=_NONE)] = None

    def check(self) -> None:
        """Refuse options that do not go together.

        Raises:
            UsageError: one is missing or one too many.
        """
        if self.dicomweb is None:
            for name in ("study", "store", "user", "password_file", "ca_file"):
                if getattr(self, name):
                    raise UsageError(f"--{name.replace('_', '-')} without --dicomweb; give the address of the server")
            return
        check_address(self.dicomweb)
        if not self.study:
            raise UsageError(f"--dicomweb {self.dicomweb}: which study? give its StudyInstanceUID with --study")
        if not all(part.isdecimal() for part in self.study.split(".")) or len(self.study) > 64:
            raise UsageError(f"--study {self.study}: is no UID; give the StudyInstanceUID, as in 1.2.840.10008.1")
        if self.password_file is not None and self.user is None:
            raise UsageError("--password-file without --user; whose password is it?")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise UsageError(f"--ca-file {self.ca_file}: no such file; give the certificates as a PEM file")
        if find_spec("dicomweb_client") is None:
            raise UsageError("--dicomweb: needs a package that is not installed; pip install 'echoseg[dicom]'")


def find_login(options: ServerOptions) -> Login | None:
    """User and password for a server: from the options, `~/.netrc`, or whoever sits at the terminal; None for a server that asks for none.

    Raises:
        UsageError: a user without a password.
        InputError: a file cannot be read.
    """
    host = urlsplit(options.dicomweb or "").hostname or ""
    if options.user is not None and options.password_file is not None:
        return Login(options.user, _first_line(options.password_file))
    noted = _from_netrc(host)
    if options.user is None:
        return noted
    if noted is not None and noted.user == options.user:
        return noted
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError(
            f"--user {options.user}: no password; give --password-file FILE, an entry of {host} in ~/.netrc, or call from a terminal"
        )
    return Login(options.user, getpass.getpass(f"password of {options.user} on {host}: "))


def _first_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(f"{path}: the password cannot be read ({reason}); give a text file") from error
    if not lines or not lines[0]:
        raise InputError(f"{path}: its first line is empty; write the password into it")
    return lines[0]


def _from_netrc(host: str) -> Login | None:
    try:
        found = netrc.netrc().authenticators(host)
    except FileNotFoundError:
        return None
    except (netrc.NetrcParseError, OSError) as error:
        raise InputError(f"~/.netrc: cannot be read ({error}); mend it, or give --user and --password-file") from error
    return None if found is None else Login(found[0], found[2] or "")


@dataclass
class FetchedStudy:
    """A study of a server.

    Attributes:
        server: where it lies.
        uid: its StudyInstanceUID.
        sources: its cines, whose files are there after `fetch`, and what is left alone.
        objects: name of a case -> what it is on the server.
        broken: name of a case -> why the server could not give it.
    """

    server: DicomServer
    uid: str
    sources: Sources
    objects: dict[str, RemoteObject]
    broken: dict[str, str] = field(default_factory=dict)
    _done: bool = False

    def fetch(self) -> None:
        """Fetch all cines, once; one that the server cannot give is noted in `broken`.

        Raises:
            ServerError: the server is gone; what was fetched is of no use.
        """
        if self._done:
            return
        for number, source in enumerate(self.sources.cases, start=1):
            if source.name not in self.objects:
                continue
            try:
                self.server.fetch(self.objects[source.name], source.path)
                complain(f"fetched {number}/{len(self.sources.cases)} {source.name}")
            except ServerError:
                raise
            except InputError as error:
                self.broken[source.name] = str(error)
        self._done = True

    def check(self, source: Source) -> None:
        """Refuse a case that the server could not give.

        Raises:
            InputError: with the reason.
        """
        if source.name in self.broken:
            raise InputError(self.broken[source.name])

    def store(self, out: Path, records: Sequence[CaseRecord], studies: Sequence[StudyRecord]) -> Sequence[str]:
        """Send the DICOM objects among the results of all cines and of the study; see `DicomServer.store`."""
        folders = [out / one.case for one in records] + [out / STUDIES_DIR / one.place.name for one in studies]
        files = [file for folder in folders for file in sorted(folder.glob("*.dcm"))]
        if not files:
            raise InputError(f"{out}: holds no DICOM objects to store; repeat the call without --skip-existing")
        return self.server.store(self.uid, files)


@contextmanager
def fetched_study(options: ServerOptions, out: Path) -> Iterator[FetchedStudy]:
    """A study of a server, known by its headers; its files are fetched when they are needed and gone when the block ends.

    Args:
        options: which study of which server, checked.
        out: folder of the results.

    Raises:
        InputError: the server or the study is not there, or the login is wrong.
    """
    url, uid = options.dicomweb or "", options.study or ""
    login = find_login(options)
    if login is not None and url.startswith("http://") and not is_loopback(url):
        complain(f"warning: {url}: the password and the images travel unencrypted; use https where the server can")
    server = DicomServer(url, login, options.ca_file)
    objects = server.study(uid)
    with _room(out) as room:
        yield _described(server, uid, objects, room)


@contextmanager
def _room(out: Path) -> Iterator[Path]:
    """A hidden folder beside the results: images of patients belong on no other disk than the user chose.

    What a process that was killed left of its own goes first.
    """
    from echoseg.cli.batch import make_folder

    existed = out.exists()
    make_folder(out)
    _remove_rooms_without_owner(out)
    try:
        with (
            tempfile.TemporaryDirectory(prefix=_ROOM, dir=out, ignore_cleanup_errors=True) as name,
            claimed(Path(name) / _IN_USE),
        ):
            yield Path(name)
    finally:
        if not existed:
            with suppress(OSError):  # it holds results
                out.rmdir()


def _remove_rooms_without_owner(out: Path) -> None:
    for claim in out.glob(f"{_ROOM}*/{_IN_USE}") if CLAIMS else ():
        with claimed(claim) as abandoned:
            if abandoned:
                shutil.rmtree(claim.parent, ignore_errors=True)


def _described(server: DicomServer, uid: str, objects: Sequence[RemoteObject], room: Path) -> FetchedStudy:
    cines = [one for one in objects if one.facts.left_alone is None]
    others = [one for one in objects if one.facts.left_alone is not None]
    names = case_names([Path(f"/{study_mark(one.facts.patient, uid)}-{_number(one)}") for one in cines])
    cases = tuple(
        Source(name, room / f"{name}.dcm", facts=one.facts, origin=one.address)
        for name, one in zip(names, cines, strict=True)
    )
    ignored = {Path(one.facts.instance, _number(one)): one.facts.left_alone or "" for one in others}
    if not cases:
        shown = left_alone_text([(_number(one), one.facts.left_alone or "") for one in others])
        address = f"{server.url}/studies/{uid}"
        problem = f"{address}: no cine among its {len(others)} objects, {shown}; name another study"
        cases = (Source(study_mark("", uid), room, problem, origin=address),)
    return FetchedStudy(server, uid, Sources(cases, ignored), dict(zip(names, cines, strict=True)))


def _number(one: RemoteObject) -> str:
    return f"s{one.series_number}-i{one.instance_number}"
