"""A bucket on a loop-back address: PyPI's gcp-storage-emulator, for Beam's client and for TensorFlow's.

Beam's client supports `STORAGE_EMULATOR_HOST`. TensorFlow's file system does not: it uses TLS to www.googleapis.com and
storage.googleapis.com. But it uses the proxy in the environment, and trusts `CURL_CA_BUNDLE`. Therefore the server is
also that proxy, with certificates made for the test.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme
from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.handlers import buckets
from gcp_storage_emulator.storage import Storage

BUCKET = "pool"

# Without credentials, Beam would ask the cloud for some. These have a token that does not expire.
_USER = {
    "type": "authorized_user",
    "client_id": "any",
    "client_secret": "any",
    "refresh_token": "any",
    "token": "any",
    "expiry": "2999-01-01T00:00:00Z",
}


class _Handler(emulator.RequestHandler):
    """The emulator's handler, with CONNECT; one request at a time, because its storage is not thread-safe."""

    protocol_version = "HTTP/1.1"
    tls: ssl.SSLContext
    lock: threading.Lock

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self.path.startswith("http:"):  # A request to a proxy: TensorFlow continues an upload at a full URL.
            self.path = urlsplit(self.path)._replace(scheme="", netloc="").geturl()
        if self.headers.get("Transfer-Encoding") == "chunked":
            del self.headers["Content-Length"]  # The emulator would use this header.
        return True

    def do_GET(self) -> None:
        if self.path.endswith("/storageLayout"):  # TensorFlow requests this before it renames a folder.
            return self._answer({"hierarchicalNamespace": {"enabled": False}})
        with self.lock:
            return super().do_GET()

    def _answer(self, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        with self.lock:
            super().do_POST()

    def do_PUT(self) -> None:
        with self.lock:
            super().do_PUT()

    def do_DELETE(self) -> None:
        with self.lock:
            super().do_DELETE()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # The client process has ended.
            super().handle_error(request, client_address)


def _read_data(request: Any, query: dict[str, list[str]], _original: Any = emulator._read_data) -> Any:
    """Returns a request's body; for an empty upload b"", for which the emulator returns None."""
    data = _original(request, query)
    return b"" if data is None and query.get("uploadType") == ["media"] else data


class EmulatedBucket:
    """gs://pool: lists, reads and writes objects; `environment` has the variables of processes that use it."""

    def __init__(self, storage: Storage, port: int, folder: Path, certificates: Path) -> None:
        self._storage = storage
        address = f"http://localhost:{port}"
        account = folder / "account.json"
        account.write_text(json.dumps(_USER))
        self.beam_environment = {
            "STORAGE_EMULATOR_HOST": address,
            "GOOGLE_APPLICATION_CREDENTIALS": str(account),
        }
        self.environment = self.beam_environment | {
            "https_proxy": address,
            "http_proxy": address,
            "no_proxy": "localhost,127.0.0.1",
            "CURL_CA_BUNDLE": str(certificates),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "any",
        }

    def files(self, folder: str = "") -> list[str]:
        """Returns the names of all objects in a folder, without the empty objects that represent folders."""
        found, _ = self._storage.get_file_list(BUCKET, folder or None, None)
        return sorted(file["name"] for file in found if not file["name"].endswith("/"))

    def read(self, name: str) -> bytes:
        content = self._storage.get_file(BUCKET, name)
        return content if isinstance(content, bytes) else content.encode()

    def write(self, name: str, content: bytes) -> str:
        """Writes an object; returns its path."""
        from google.cloud import storage

        client = storage.Client(project="some-project")
        client.bucket(BUCKET).blob(name).upload_from_string(content)
        return f"gs://{BUCKET}/{name}"


@contextmanager
def emulated_bucket(folder: Path) -> Iterator[EmulatedBucket]:
    """Serves the bucket; `folder` is for certificates and credentials."""
    authority = trustme.CA()
    certificates = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(certificates))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("www.googleapis.com", "storage.googleapis.com").configure_cert(tls)
    storage = Storage(use_memory_fs=True)
    buckets.create_bucket(BUCKET, storage)
    handler = type("Handler", (_Handler,), {"tls": tls, "lock": threading.Lock()})
    emulator._read_data = _read_data
    server = _Server(("localhost", 0), partial(handler, storage))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield EmulatedBucket(storage, server.server_address[1], folder, certificates)
    server.shutdown()
    server.server_close()
