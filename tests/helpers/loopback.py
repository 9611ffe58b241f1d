"""A web server on 127.0.0.1 that does what a test has it do, and archives for it to serve."""

import gzip
import io
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kpcore.interfaces import Download, Licence

LICENCE = Licence("Test licence", "Do as you like.", "http://127.0.0.1/terms")


class Loopback:
    """The server: ``files`` by path, and a ``script`` of what is done with the next requests instead of serving them.

    A step of the script is called with the handler and the file's bytes (None where there is no such file).
    """

    def __init__(self, port):
        self.port, self.files, self.script, self.asked = port, {}, [], []

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"

    @property
    def ranges(self):
        """What was asked for, a request each: None for a whole file."""
        return [headers.get("Range") for _, headers in self.asked]


@contextmanager
def loopback():
    """Serve until the context is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.lstrip("/").partition("?")[0]
            server.asked.append((path, dict(self.headers)))
            step = server.script.pop(0) if server.script else serve()
            step(self, server.files.get(path))

        def log_message(self, *_):
            """Say nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads = True
    server = Loopback(web.server_address[1])
    thread = threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
        thread.join()


def serve(*, etag='"one"', ranges=True, cut=None, length=None, modified=None, slow=None):
    """Serve the file, or the part asked for.

    ``cut``: break the connection after so many bytes; ``length``: state so many, whatever the truth; ``slow``: called
    between pieces of 64 KB.
    """

    def step(handler, body):
        if body is None:
            return reply(404)(handler, body)
        start = asked_from(handler) if ranges and fresh(handler, etag, modified) else 0
        if start >= len(body) and start and length is None:
            return reply(416, {"Content-Range": f"bytes */{len(body)}"})(handler, body)
        rest = body[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(rest) if length is None else length - start))
        for name, value in (("ETag", etag), ("Last-Modified", modified)):
            if value:
                handler.send_header(name, value)
        if start:
            total = len(body) if length is None else length
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        handler.end_headers()
        send(handler, rest[:cut], slow)
        handler.wfile.flush()
        handler.close_connection = True
        return None

    return step


def send(handler, data, slow):
    try:
        for place in range(0, len(data), 2**16):
            handler.wfile.write(data[place : place + 2**16])
            if slow:
                slow()
    except OSError:  # the client was killed
        pass


def asked_from(handler):
    text = handler.headers.get("Range", "")
    return int(text.removeprefix("bytes=").removesuffix("-")) if text else 0


def fresh(handler, etag, modified):
    """Whether an If-Range names the version that is served."""
    return handler.headers.get("If-Range") in (None, etag, modified)


def reply(status, headers=None):
    """Answer with a status and no body."""

    def step(handler, body):
        del body
        handler.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()

    return step


def chunked(*, cut=False):
    """Serve the file in chunks, its length unstated; ``cut``: end without the last, empty one."""

    def step(handler, body):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for place in range(0, len(body), 1000):
            piece = body[place : place + 1000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"" if cut else b"0\r\n\r\n")
        handler.close_connection = True

    return step


def a_zip(entries):
    """A zip file of (name or ZipInfo, bytes)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries:
            file.writestr(name, data)
    return out.getvalue()


def a_tar(entries, mode="w:gz"):
    """A tar file of (name or TarInfo, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as file:
        for name, data in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name, kind, link=""):
    """A tar entry that is no plain file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


ENTRIES = [("images/", b""), ("./images/a.jpg", b"A" * 700), ("images/deep/b.jpg", b"B"), ("notes.txt", b"hello")]


def an_archive(kind):
    """A small archive: zip, tar, tar.gz or tar.bz2."""
    if kind == "zip":
        return a_zip(ENTRIES)
    folder = member("images/", tarfile.DIRTYPE)
    return a_tar([(folder, b""), *ENTRIES[1:]], {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2"}[kind])


def tree(folder):
    """Path -> bytes of all files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zipped(data):
    """Bytes, gzipped."""
    return gzip.compress(data, 1)


def a_download(server, name, places, **more):
    """A download of the server's file of that name."""
    return Download(name, server.url(name), LICENCE, places, **more)
