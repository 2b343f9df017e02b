"""A double of the Hugging Face Hub for the real clients: repositories in memory, over real HTTP on the loopback.

It serves what huggingface_hub and datasets ask of the Hub for creating a repository, uploading (regular and LFS),
listing and downloading. Xet is not spoken: run clients with ``HF_HUB_DISABLE_XET=1``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Repo:
    """Files of one repository, and the message of each commit."""

    kind: str
    name: str
    private: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        """The newest commit."""
        return hashlib.sha1(f"{self.name}{len(self.commits)}".encode()).hexdigest()


@dataclass
class Hub:
    """What the server holds. ``fail`` maps a part of a path to statuses that its next requests get."""

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    fail: dict[str, list[int]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    token: str = "hf_double"


_REPO = re.compile(r"^/api/(models|datasets)/([\w.-]+/[\w.-]+)(?:/(.*))?$")
_LFS = re.compile(r"^/(?:(datasets)/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch$")
_RESOLVE = re.compile(r"^/(?:(datasets)/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)$")


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
    if _is_lfs(path):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


def _is_lfs(path: str) -> bool:
    return path.endswith((".parquet", ".safetensors", ".png"))


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def send(self, status: int, value: Any = None, headers: dict[str, str] | None = None) -> None:
            content = value if isinstance(value, bytes) else json.dumps(value if value is not None else {}).encode()
            self.send_response(status)
            for name, text in (headers or {}).items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def missing(self, code: str) -> None:
            self.send(404, {"error": code}, {"X-Error-Code": code})

        def failing(self) -> bool:
            hub.requests.append(f"{self.command} {self.path}")
            for part, statuses in hub.fail.items():
                if part in self.path and statuses:
                    status = statuses.pop(0)
                    self.body()
                    if status == 0:  # the line is cut
                        self.close_connection = True
                        self.connection.close()
                    else:
                        self.send(status, {"error": f"status {status}"})
                    return True
            return False

        def repo(self, kind: str, name: str) -> Repo | None:
            return hub.repos.get((kind, name))

        def do_POST(self) -> None:
            if self.failing():
                return
            path = unquote(urlsplit(self.path).path)
            content = self.body()
            if self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self.send(401, {"error": "Invalid credentials"})
            if path == "/api/repos/create":
                asked = json.loads(content)
                kind = "datasets" if asked.get("type") == "dataset" else "models"
                name = f"{asked.get('organization') or 'me'}/{asked['name']}"
                url = f"{hub.url}/{'datasets/' if kind == 'datasets' else ''}{name}"
                if (kind, name) in hub.repos:
                    return self.send(409, {"error": "exists", "url": url})
                private = asked.get("visibility") == "private" or bool(asked.get("private"))
                hub.repos[kind, name] = Repo(kind, name, private)
                return self.send(200, {"url": url, "name": name, "id": name})
            if path == "/api/validate-yaml":
                return self.send(200, {"errors": [], "warnings": []})
            if match := _LFS.match(path):
                return self.lfs(json.loads(content))
            match = _REPO.match(path)
            repo = self.repo(match[1], match[2]) if match else None
            if match is None or repo is None:
                return self.missing("RepoNotFound")
            rest = match[3] or ""
            if rest.startswith("preupload/"):
                files = [
                    {
                        "path": item["path"],
                        "uploadMode": "lfs" if _is_lfs(item["path"]) else "regular",
                        "shouldIgnore": False,
                        "oid": _oid(repo.files[item["path"]]) if item["path"] in repo.files else None,
                    }
                    for item in json.loads(content)["files"]
                ]
                return self.send(200, {"files": files})
            if rest.startswith("commit/"):
                return self.commit(repo, content)
            if rest.startswith("paths-info/"):
                asked = parse_qs(content.decode()).get("paths", []) if b"=" in content else json.loads(content)["paths"]
                return self.send(200, [_entry(name, repo.files[name]) for name in asked if name in repo.files])
            return self.missing("EntryNotFound")

        def lfs(self, asked: dict[str, Any]) -> None:
            objects = []
            for item in asked["objects"]:
                about: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
                if item["oid"] not in hub.objects:
                    about["actions"] = {"upload": {"href": f"{hub.url}/lfs/{item['oid']}"}}
                objects.append(about)
            self.send(200, {"transfer": "basic", "objects": objects})

        def commit(self, repo: Repo, content: bytes) -> None:
            lines = [json.loads(line) for line in content.splitlines() if line.strip()]
            header = next(line["value"] for line in lines if line["key"] == "header")
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    repo.files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    repo.files[value["path"]] = hub.objects[value["oid"]]
                elif line["key"] == "deletedFile":
                    repo.files.pop(value["path"], None)
                elif line["key"] == "deletedFolder":
                    for name in [name for name in repo.files if name.startswith(value["path"])]:
                        del repo.files[name]
            repo.commits.append(header["summary"])
            url = f"{hub.url}/{repo.name}/commit/{repo.sha}"
            self.send(200, {"success": True, "commitOid": repo.sha, "commitUrl": url, "hookOutput": ""})

        def do_PUT(self) -> None:
            if self.failing():
                return
            content = self.body()
            hub.objects[hashlib.sha256(content).hexdigest()] = content
            self.send(200)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.failing():
                return
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            if path == "/api/whoami-v2":
                if self.headers.get("Authorization") != f"Bearer {hub.token}":
                    return self.send(401, {"error": "Invalid credentials"})
                return self.send(200, {"name": "me", "type": "user", "orgs": [], "auth": {"type": "access_token"}})
            if match := _RESOLVE.match(path):
                return self.resolve(match)
            match = _REPO.match(path)
            repo = self.repo(match[1], match[2]) if match else None
            if match is None or repo is None:
                return self.missing("RepoNotFound")
            rest = match[3] or ""
            if rest.startswith("tree/"):
                folder = rest.split("/", 2)[2] if rest.count("/") > 1 else ""
                inside = [name for name in sorted(repo.files) if name.startswith(f"{folder}/" if folder else "")]
                if folder and not inside:
                    return self.missing("EntryNotFound")
                return self.send(200, [_entry(name, repo.files[name]) for name in inside])
            if rest == "refs":
                branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.sha}
                return self.send(200, {"branches": [branch], "converts": [], "tags": []})
            if rest == "" or rest.startswith("revision/"):
                about = {
                    "id": repo.name, "sha": repo.sha, "private": repo.private, "tags": [], "downloads": 0, "likes": 0,
                    "siblings": [{"rfilename": name} for name in sorted(repo.files)],
                }  # fmt: skip
                return self.send(200, about)
            return self.missing("EntryNotFound")

        def resolve(self, match: re.Match[str]) -> None:
            repo = self.repo(match[1] or "models", match[2])
            if repo is None:
                return self.missing("RepoNotFound")
            content = repo.files.get(match[4])
            if content is None:
                return self.missing("EntryNotFound")
            etag = hashlib.sha256(content).hexdigest() if _is_lfs(match[4]) else _oid(content)
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": repo.sha, "Accept-Ranges": "bytes"}
            wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range") or "")
            if wanted:
                start, end = int(wanted[1]), int(wanted[2] or len(content) - 1)
                headers["Content-Range"] = f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}"
                return self.send(206, content[start : end + 1], headers)
            self.send(200, content, headers)

    return Handler


@contextmanager
def hub_double() -> Iterator[Hub]:
    """A running double; ``hub.url`` goes into ``HF_ENDPOINT``, ``hub.token`` into ``HF_TOKEN``."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
