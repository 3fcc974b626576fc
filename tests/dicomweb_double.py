"""A DICOMweb server that does what it is told, above all to fail; and Debian's Orthanc, which is a real one.

with served(Double(objects)) as double:
    DicomServer(double.url).study(uid)
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.programs import program

USER, PASSWORD = "anna", "geheim ü"
PLUGIN = "libOrthancDicomWeb.so"
PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))
_INSTANCE = re.compile(r"/studies/([\d.]+)/series/([\d.]+)/instances/([\d.]+)$")
_METADATA = re.compile(r"/studies/([\d.]+)/metadata$")
_SEARCH = re.compile(r"/studies/([\d.]+)/instances\?.*SOPInstanceUID=([\d.]+)")
_STORE = re.compile(r"/studies/([\d.]+)$")


@dataclass
class Double:
    """What the double does.

    Attributes:
        files: the objects that it holds.
        login: user and password that it wants, None for none.
        status: path ending -> HTTP status to answer with.
        cut: UIDs of objects of which it sends a half and hangs up.
        garbage: UIDs of objects in place of which it sends something else.
        gone: requests after which it answers no more.
        refuses: number of sent objects, from the first, that it does not take.
        hangs_up_on_store: takes that many objects, then hangs up without an answer; None to behave.
        asked: every request, in order.
        stored: UIDs of objects that were sent to it and taken.
        url: its root, while it is served.
    """

    files: Sequence[Path] = ()
    login: tuple[str, str] | None = None
    status: dict[str, int] = field(default_factory=dict)
    cut: frozenset[str] = frozenset()
    garbage: frozenset[str] = frozenset()
    gone: int | None = None
    refuses: int = 0
    hangs_up_on_store: int | None = None
    asked: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.objects = {str(dcmread(file, stop_before_pixels=True).SOPInstanceUID): file for file in self.files}


@contextmanager
def served(double: Double) -> Iterator[Double]:
    """The double on a port of this machine."""

    class Handler(_Handler):
        told = double

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    told: Double
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        if self._stops():
            return
        if found := _INSTANCE.search(self.path):
            self._instance(found[3])
        elif found := _METADATA.search(self.path):
            self._metadata(found[1])
        elif found := _SEARCH.search(self.path):
            held = [found[2]] if found[2] in {*self.told.objects, *self.told.stored} else []
            self._json(200, [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in held])
        else:
            self._json(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._stops():
            return
        boundary = re.search(r'boundary="([^"]+)"', self.headers["Content-Type"])[1].encode()
        parts = [part.partition(b"\r\n\r\n")[2] for part in body.split(b"--" + boundary)[1:-1]]
        uids = [str(dcmread(io.BytesIO(part.removesuffix(b"\r\n"))).SOPInstanceUID) for part in parts]
        if self.told.hangs_up_on_store is not None:
            self.told.stored += uids[: self.told.hangs_up_on_store]
            self.close_connection = True
            return
        refused, taken = uids[: self.told.refuses], uids[self.told.refuses :]
        self.told.stored += taken
        answer = Dataset()
        answer.ReferencedSOPSequence = [_item(uid) for uid in taken]
        if refused:
            answer.FailedSOPSequence = [_item(uid, 0xA700) for uid in refused]
        self._json(200 if not refused else 202 if taken else 409, answer.to_json_dict())

    def _stops(self) -> bool:
        """Whether this request gets no proper answer."""
        told = self.told
        told.asked.append(f"{self.command} {self.path}")
        if told.gone is not None and len(told.asked) > told.gone:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return True
        if told.login is not None:
            wanted = "Basic " + base64.b64encode(":".join(told.login).encode()).decode()
            if self.headers.get("Authorization") != wanted:
                self._json(401, {})
                return True
        for ending, status in told.status.items():
            if self.path.endswith(ending):
                self._json(status, {})
                return True
        return False

    def _metadata(self, study: str) -> None:
        headers = [dcmread(file, stop_before_pixels=True) for file in self.told.objects.values()]
        mine = [header.to_json_dict() for header in headers if header.StudyInstanceUID == study]
        self._json(200 if mine else 404, mine)

    def _instance(self, uid: str) -> None:
        data = b"not what you think" if uid in self.told.garbage else self.told.objects[uid].read_bytes()
        body = b"--cut\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--cut--\r\n"
        self._head(200, 'multipart/related; type="application/dicom"; boundary=cut', len(body))
        if uid in self.told.cut:
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(body)

    def _json(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self._head(status, "application/dicom+json", len(body))
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def _item(uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPInstanceUID = uid
    if reason is not None:
        item.FailureReason = reason
    return item


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes:
        url: root of its DICOMweb service.
        password_file: file with the password of `USER`.
        log: what it says.
    """

    url: str
    password_file: Path
    log: Path

    def get(self, path: str) -> object:
        """What its DICOMweb service answers, from JSON."""
        return json.loads(self._ask(urllib.request.Request(f"{self.url}/{path}")))

    def upload(self, *files: Path) -> None:
        """Put objects into it as a modality would, past DICOMweb."""
        root = self.url.removesuffix("/dicom-web")
        for file in files:
            self._ask(urllib.request.Request(f"{root}/instances", data=file.read_bytes(), method="POST"))

    def _ask(self, request: urllib.request.Request) -> bytes:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return answer.read()


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Orthanc with its DICOMweb plug-in and authentication, on a free port of this machine only."""
    command = program("Orthanc", "orthanc")
    plugin = next((place / PLUGIN for place in PLUGIN_FOLDERS if (place / PLUGIN).exists()), None)
    if plugin is None:
        program(PLUGIN, "orthanc-dicomweb")  # says what is missing
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    config = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": port,
        "DicomServerEnabled": False, "RemoteAccessAllowed": False, "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD}, "Plugins": [str(plugin)], "DicomWeb": {"Enable": True},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    orthanc = Orthanc(f"http://127.0.0.1:{port}/dicom-web", folder / "password", folder / "log")
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    with (
        orthanc.log.open("w") as log,
        subprocess.Popen([command, str(folder / "orthanc.json")], stdout=log, stderr=log, env=environment) as process,
    ):
        try:
            _wait_for(orthanc, process)
            yield orthanc
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(orthanc: Orthanc, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            orthanc.get("studies")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Orthanc does not answer; its log:\n{orthanc.log.read_text()}")
