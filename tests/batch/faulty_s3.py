"""An S3 server on this machine that fails when it is told to, in every way in which servers and networks do."""

import collections
import contextlib
import io
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

BUCKET = "bucket"
REFUSED = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>"
# 503; the connection is cut before the request is read, amid it, before the answer, amid it; no answer
KINDS = ("busy", "cut", "cut-put", "done-cut", "cut-answer", "silent")
QUICK = '{"config_kwargs": {"read_timeout": 1, "connect_timeout": 2, "retries": {"max_attempts": 0}}}'


class S3:
    """A server with one bucket.

    Attributes:
        fault: says of each request (method and path) which of `KINDS` it meets, `denied`, or None.
        counts: faults met, and requests, by kind.
    """

    def __init__(self):
        from moto.server import create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                pass

        self.app = create_backend_app("s3")
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        self.counts, self.lock = collections.Counter(), threading.Lock()
        self.server = make_server("127.0.0.1", 0, self.serve, threaded=True, request_handler=Quiet)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """Of the processes that are to use it."""
        keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        return keys | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server.port}", "FSSPEC_S3": QUICK}

    def serve(self, environ: dict, respond: Callable) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self.lock:
            kind = self.fault(method, path)
            kind = "cut" if kind == "cut-put" and method != "PUT" else kind
            self.counts.update(["requests", *([kind] if kind else [])])
        connection = environ["werkzeug.socket"]
        if kind in ("cut", "cut-put"):
            if kind == "cut-put":
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            self.cut(connection)
        if kind in ("busy", "denied"):
            status, code = {"busy": ("503 Slow Down", b"SlowDown"), "denied": ("403 Forbidden", b"AccessDenied")}[kind]
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            respond(status, [("Content-Type", "application/xml")])
            return [b"" if method == "HEAD" else REFUSED % code]
        if kind is None:
            return self.app(environ, respond)
        answer: list = []
        content = b"".join(self.app(environ, lambda *given: answer.append(given)))
        if kind == "silent":
            time.sleep(1.5)
        if kind == "cut-answer" and len(content) > 1:
            respond(*answer[0])
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100000\r\n\r\n" + content[: len(content) // 2])
        self.cut(connection)

    @staticmethod
    def cut(connection: socket.socket) -> NoReturn:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError

    @contextlib.contextmanager
    def failing(self, share: float, seed: int = 0, most: int = 10**9) -> Iterator[None]:
        """Let a share of the requests fail, up to `most` of them."""
        chance = random.Random(seed)
        left = iter(range(most))

        def fault(method: str, path: str) -> str | None:
            return chance.choice(KINDS) if chance.random() < share and next(left, None) is not None else None

        with self.meeting(None, fault):
            yield

    @contextlib.contextmanager
    def meeting(self, kind: str | None, where: Callable[[str, str], Any]) -> Iterator[None]:
        """Let the requests for which `where` says so fail in one way; without `kind`, it says in which."""
        self.fault = where if kind is None else lambda method, path: kind if where(method, path) else None
        try:
            yield
        finally:
            self.fault = lambda method, path: None

    def put(self, root: os.PathLike, prefix: str) -> str:
        """Copy a folder of the disk; returns its address."""
        import boto3

        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if path.isprintable():
                    with open(path, "rb") as file:
                        key = f"{prefix}/{os.path.relpath(path, root)}"
                        self.client(boto3).upload_fileobj(io.BytesIO(file.read()), BUCKET, key)
        return f"s3://{BUCKET}/{prefix}"

    def client(self, boto3: Any) -> Any:
        found = self.environment
        return boto3.client(
            "s3", endpoint_url=found["AWS_ENDPOINT_URL"], region_name="us-east-1", aws_access_key_id="x",
            aws_secret_access_key="x",
        )  # fmt: skip

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()


@contextlib.contextmanager
def running() -> Iterator[S3]:
    """A server, with the environment of this process set for it."""
    import boto3
    import fsspec.config

    server = S3()
    before = dict(os.environ)
    os.environ.update(server.environment)
    fsspec.config.set_conf_env(fsspec.config.conf)  # it was read when fsspec was imported
    try:
        server.client(boto3).create_bucket(Bucket=BUCKET)
        yield server
    finally:
        os.environ.clear()
        os.environ.update(before)
        fsspec.config.conf.pop("s3")
        server.close()
