"""A DICOM server over HTTP (DICOMweb, DICOM PS3.18): what a study holds, its objects, and objects sent to it.

    server = DicomServer("https://pacs.example/dicom-web", Login("anna", password))
    for one in server.study("1.2.840..."):
        server.fetch(one, folder / one.facts.instance)
    server.store("1.2.840...", files)

Nothing is sent but what is asked for here. Proxies of the system are used, except on the way to this machine itself; credentials come from
the caller and from nowhere else.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from echoseg.errors import InputError, OutputError, PartialFailureError, UsageError
from echoseg.io import dicom_meta
from echoseg.io.atomic import atomic_path
from echoseg.io.door import DAMAGE as BROKEN
from echoseg.io.door import quiet, reading
from echoseg.io.studies import ObjectFacts, facts_of
from echoseg.version import __version__

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

TIMEOUT_S = (10.0, 120.0)  # to connect, and without a byte
_ATTEMPTS, _WAIT_MS = 3, 250  # of a server that says it is busy
# Bytes of a chunk: all is sent at once, with its length, so that the server knows when it has everything.
_WHOLE = 1 << 40
# PS3.18 I.2.2
_REASONS = {
    0x0110: "processing failure",
    0x0111: "duplicate object",
    0x0117: "invalid object",
    0x0122: "kind of object not supported",
    0x0124: "not authorised",
    0xA700: "out of resources",
    0xA900: "data set does not match its class",
    0xC000: "cannot be understood",
}


class ServerError(InputError):
    """A server cannot be reached, breaks off or refuses: nothing more can be read from it."""


@dataclass(frozen=True)
class Login:
    """Who asks.

    Attributes:
        user: name of the user.
        password: never shown.
    """

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class RemoteObject:
    """An object on a server.

    Attributes:
        facts: what its header says of patient, study and view, and whether it is a cine to measure.
        series_number: SeriesNumber, 0 where unknown.
        instance_number: InstanceNumber, 0 where unknown.
        address: where it can be fetched again.
    """

    facts: ObjectFacts
    series_number: int
    instance_number: int
    address: str


class DicomServer:
    """A DICOMweb service."""

    def __init__(self, url: str, login: Login | None = None, ca_file: Path | None = None) -> None:
        """Nothing is asked yet.

        Args:
            url: root of the service, e.g. `https://pacs.example/dicom-web`.
            login: for HTTP basic authentication.
            ca_file: PEM file with certificates to trust in place of the public ones.

        Raises:
            UsageError: `url` is no address.
        """
        check_address(url)
        self.url = url.rstrip("/")
        self._login, self._ca_file = login, ca_file

    def _client(self, *, repeat: bool = True) -> Any:  # noqa: ANN401 - dicomweb-client has no types
        import requests
        from dicomweb_client.api import DICOMwebClient

        session = requests.Session()
        session.trust_env = False  # else a netrc file and variables would have their say
        session.proxies.update(_proxies(self.url))
        session.headers["User-Agent"] = f"echoseg/{__version__}"
        session.verify = True if self._ca_file is None else str(self._ca_file)
        if self._login is not None:
            session.auth = requests.auth.HTTPBasicAuth(self._login.user.encode(), self._login.password.encode())
        client = DICOMwebClient(self.url, session, timeout=TIMEOUT_S, chunk_size=_WHOLE, permissive_uid=True)
        client.set_http_retry_params(repeat, _ATTEMPTS, _WAIT_MS)
        return client

    def study(self, uid: str) -> tuple[RemoteObject, ...]:
        """The objects of a study, by series, number and UID.

        Raises:
            ServerError: the server cannot be reached, refuses, or knows no such study.
        """
        with self._asking(f"study {uid}"):
            headers = self._client().retrieve_study_metadata(uid)
            found = [self._object(header) for header in headers]
        if not found:
            raise ServerError(f"{self.url}: study {uid} has no objects; check --study")
        return tuple(sorted(found, key=lambda one: (one.series_number, one.instance_number, one.facts.instance)))

    def _object(self, header: dict[str, Any]) -> RemoteObject:
        from pydicom.dataset import Dataset

        dataset = Dataset.from_json(header, bulk_data_uri_handler=lambda *_: None)
        facts = facts_of(dataset)
        if not (facts.study and facts.series and facts.instance):
            raise ValueError("an object without UIDs")
        series, instance = (int(dicom_meta.number(dataset, key) or 0) for key in ("SeriesNumber", "InstanceNumber"))
        address = f"{self.url}/studies/{facts.study}/series/{facts.series}/instances/{facts.instance}"
        return RemoteObject(facts, series, instance, address)

    def fetch(self, one: RemoteObject, path: Path) -> None:
        """Write an object to a file, whole or not at all, encoded as the server has it.

        Raises:
            ServerError: the server is gone or refuses.
            InputError: the server cannot give this one, or what it gives is damaged.
        """
        facts = one.facts
        with self._asking(f"object {one.address}", single=True):
            dataset = self._client().retrieve_instance(facts.study, facts.series, facts.instance)
        with reading(one.address, extra=(TypeError, AttributeError)), quiet():
            if str(dataset.get("SOPInstanceUID", "")) != facts.instance:
                raise InputError(
                    f"{one.address}: the server gave another object; look into it with the server's own tools"
                )
            with atomic_path(path) as temporary:
                dataset.save_as(temporary, enforce_file_format=True)

    def held(self, study: str, uids: Sequence[str]) -> frozenset[str]:
        """Which of some objects of a study the server has, asked by QIDO-RS.

        Raises:
            ServerError: it does not answer.
        """
        client, found = self._client(), set()
        with self._asking(f"study {study}"):
            for uid in uids:
                if client.search_for_instances(study, search_filters={"SOPInstanceUID": uid}):
                    found.add(uid)
        return frozenset(found)

    def store(self, study: str, files: Sequence[Path]) -> tuple[str, ...]:
        """Send objects of a study in one request, those that the server has already left out.

        Args:
            study: StudyInstanceUID of all of them.
            files: DICOM files.

        Returns:
            UIDs of what was sent.

        Raises:
            ServerError: the server cannot be asked what it has; nothing was sent.
            OutputError: it took nothing, or it is unknown whether it took anything.
            PartialFailureError: it took some.
        """
        from pydicom import dcmread

        datasets = {str(dataset.SOPInstanceUID): dataset for dataset in map(dcmread, files)}
        known = self.held(study, list(datasets))
        wanted = {uid: dataset for uid, dataset in datasets.items() if uid not in known}
        if wanted:
            self._send(study, wanted)
        return tuple(wanted)

    def _send(self, study: str, wanted: Mapping[str, Dataset]) -> None:
        reason = ""
        try:
            with self._asking(f"study {study}", what="results were sent"):
                refused = _refused(self._client(repeat=False).store_instances(list(wanted.values()), study))
        except ServerError as error:
            reason, refused = str(error).removeprefix(f"{self.url}: "), _refused_by(error.__cause__)
        try:
            there = self.held(study, list(wanted))
        except ServerError as error:
            raise OutputError(
                f"{self.url}: {reason or error}; it is unknown which of the {len(wanted)} objects it took, "
                "repeat the call with --skip-existing when it answers again: it sends what is not there"
            ) from error
        missing = [uid for uid in wanted if uid not in there]
        if not missing:
            return
        named = "; ".join(f"{uid}: {refused[uid]}" for uid in missing[:3] if uid in refused)
        why = named or reason or "no reason given"
        cure = "see the server's log and repeat the call with --skip-existing"
        if not there:
            raise OutputError(f"{self.url}: nothing was stored ({why}); {cure}")
        raise PartialFailureError(
            f"{self.url}: {len(missing)} of {len(wanted)} objects were not stored ({why}), these were: "
            f"{', '.join(sorted(there))}; {cure}"
        )

    @contextmanager
    def _asking(self, about: str, *, what: str = "", single: bool = False) -> Iterator[None]:
        """Make a `ServerError` of whatever goes wrong between here and the server.

        Args:
            about: what is asked for.
            what: what was going on.
            single: one object of many: that the server cannot give it is an `InputError`, and the others may come.
        """
        import requests
        from retrying import RetryError  # type: ignore[import-untyped] # comes with dicomweb-client

        from echoseg.io.dicom import DAMAGE

        what = what or f"{about} was fetched"
        nonsense: tuple[type[Exception], ...] = (requests.RequestException, *BROKEN, *DAMAGE)
        try:
            with quiet():
                yield
        except (requests.HTTPError, RetryError) as error:
            status = _status(error)
            problem = self._refusal(status, about)
            raise (InputError(problem) if single and status not in (401, 403) else ServerError(problem)) from error
        except requests.exceptions.SSLError as error:
            raise ServerError(
                f"{self.url}: its certificate is not trusted ({_reason(error)}); give that of its authority with --ca-file"
            ) from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if isinstance(error, requests.ConnectionError) and _never_connected(error):
                text = f"cannot be reached ({_reason(error)}); check the address and whether the server runs"
            else:
                text = f"the connection broke while {what} ({_reason(error)}); see to the server and repeat the call"
            raise ServerError(f"{self.url}: {text}") from error
        except nonsense as error:
            detail = " ".join(str(error).split())[:200] or type(error).__name__
            if single:
                text = (
                    f"{about.removeprefix('object ')}: is damaged ({detail}); look into it with the server's own tools"
                )
                raise InputError(text) from error
            raise ServerError(
                f"{self.url}: its answer about {about} is not DICOMweb ({detail}); give the root of the service, as in "
                "https://pacs.example/dicom-web"
            ) from error

    def _refusal(self, status: int, about: str) -> str:
        if status == 401:
            said = "another user or password" if self._login else "a user and password"
            cure = "give --user NAME and --password-file FILE, or an entry in ~/.netrc"
            return f"{self.url}: the server wants {said} (401); {cure}"
        if status == 403:
            return f"{self.url}: this user may not do that (403); ask the server's administrator"
        if status == 404:
            return f"{self.url}: no {about} (404); check --study, and that --dicomweb is the root of the service"
        return f"{self.url}: the server answers {status} about {about}; see its log"


def check_address(url: str) -> None:
    """Refuse what is no address of a service, and one that holds a password, which would stand in `run.json`.

    Raises:
        UsageError: with what to write.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--dicomweb {url}: give the root of the service, as in https://pacs.example/dicom-web")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"--dicomweb: an address with a password in it; give --user {parts.username} and --password-file FILE"
        )


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine.

    >>> is_loopback("http://localhost:8042/dicom-web"), is_loopback("http://127.0.0.1"), is_loopback("https://pacs")
    (True, True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxies(url: str) -> dict[str, str]:
    from urllib.request import getproxies, proxy_bypass

    host = urlsplit(url).hostname or ""
    return {} if is_loopback(url) or proxy_bypass(host) else getproxies()


def _status(error: Exception) -> int:
    """HTTP status of an answer, also of the last one of several attempts."""
    response = getattr(error, "response", None)
    if response is None:
        response = error.last_attempt.value  # type: ignore[attr-defined]
    return int(response.status_code)


def _never_connected(error: Exception) -> bool:
    import requests

    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"):
            return True
        inner = seen.args[0] if seen.args else None
        seen = getattr(inner, "reason", None) or (inner if isinstance(inner, Exception) else None)
    return isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError))


def _reason(error: Exception) -> str:
    """The innermost cause, in the system's words."""
    seen: BaseException | None = error
    words = ""
    while seen is not None:
        words = getattr(seen, "strerror", None) or words
        seen = seen.__cause__ or seen.__context__
    return words or " ".join(str(error).split())[:120] or type(error).__name__


def _refused_by(cause: BaseException | None) -> dict[str, str]:
    """The same from an answer that is an error: where everything was refused, PS3.18 wants 409 with the list in its body."""
    from pydicom.dataset import Dataset

    response = getattr(cause, "response", None)
    try:
        return {} if response is None else _refused(Dataset.from_json(response.json()))
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}


def _refused(answer: Dataset) -> dict[str, str]:
    """UIDs of objects that a server did not take, and why."""
    failed = answer.get("FailedSOPSequence") or ()
    found = {}
    for item in failed:
        code = int(item.get("FailureReason", 0))
        reason = _REASONS.get(code) or _REASONS.get(code & 0xFF00) or _REASONS.get(code & 0xF000) or "refused"
        found[str(item.get("ReferencedSOPInstanceUID", ""))] = f"{reason} ({code:04X})"
    return found
