"""A server of moto, and the URIs of its bucket; directly, or through `FaultyProxy`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request

from pyarrow import fs as pafs

from tests.examples import ROOT

SERVER = ROOT / ".venv-stores" / "bin" / "moto_server"
REASON = "make test-stores installs the server of moto"
if SERVER.exists():  # before the session starts, whose workers inherit them
    os.environ.update({"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"})


class Store:
    """A server of its own, and the URIs of its bucket."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [SERVER, "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/moto-api/", timeout=1)
                break
            except OSError:
                time.sleep(0.1)
        self.fs = pafs.S3FileSystem(
            access_key="key",
            secret_key="secret",
            scheme="http",
            endpoint_override=f"127.0.0.1:{self.port}",
            allow_bucket_creation=True,
        )
        self.fs.create_dir("bucket")

    def uri(self, name: str, port: int | None = None) -> str:
        host = f"127.0.0.1%3A{port or self.port}"
        return f"s3://bucket/{name}?scheme=http&endpoint_override={host}&region=us-east-1"

    def names(self, folder: str) -> list[str]:
        selector = pafs.FileSelector(f"bucket/{folder}", recursive=True, allow_not_found=True)
        return [i.path for i in self.fs.get_file_info(selector) if i.is_file]

    def close(self):
        self.process.kill()
        self.process.wait()
