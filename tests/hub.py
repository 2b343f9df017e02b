"""A double of the Hugging Face Hub for the real clients: repositories in memory, over real HTTP on the loopback.

It serves what huggingface_hub and datasets ask of the Hub for creating a repository, its settings, uploading (regular
and LFS), branches, tags, listing and downloading. A commit keeps the files of its moment, so a tag or a branch shows
what it was given. Xet is not spoken: run clients with ``HF_HUB_DISABLE_XET=1``.
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

from tests.hub_answers import blob_id, card_errors, entry, is_lfs, tree


@dataclass(frozen=True)
class Commit:
    """One commit: its message, and every file there was then."""

    sha: str
    message: str
    files: dict[str, bytes]


@dataclass
class Repo:
    """One repository: commits by hash, branches and tags as names of commits. It begins with a commit of the Hub's own."""

    kind: str
    name: str
    private: bool = False
    gated: str | bool = False
    history: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add("main", "initial commit", {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"})

    def add(self, branch: str, message: str, files: dict[str, bytes]) -> Commit:
        """A commit on top of a branch."""
        parent = self.branches.get(branch, "")
        sha = hashlib.sha1(f"{self.name}\0{parent}\0{len(self.history)}\0{message}".encode()).hexdigest()
        self.history[sha] = Commit(sha, message, files)
        self.branches[branch] = sha
        return self.history[sha]

    def at(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag or a hash."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        return self.history.get(sha)

    @property
    def files(self) -> dict[str, bytes]:
        """What somebody has put on the main branch."""
        held = self.history[self.branches["main"]].files
        return {name: content for name, content in held.items() if name != ".gitattributes"}

    @property
    def commits(self) -> list[str]:
        """The messages of all commits but the Hub's own, oldest first."""
        return [commit.message for commit in self.history.values()][1:]


@dataclass
class Hub:
    """What the server holds. ``fail`` maps a part of a path to what its next requests get.

    That is a status, 0 for a cut line, -1 for no answer at all, -2 for a line that is cut when the work is done, or 200
    for the answer as it should be. ``sent`` lists the objects that were uploaded.
    """

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    fail: dict[str, list[int]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    token: str = "hf_double"
    lock: Any = field(default_factory=threading.Lock)
    done: threading.Event = field(default_factory=threading.Event)


_REPO = re.compile(r"^/api/(models|datasets)/([\w.-]+/[\w.-]+)(?:/(.*))?$")
_LFS = re.compile(r"^/(?:(datasets)/)?([\w.-]+/[\w.-]+)\.git/info/lfs/(objects/batch|verify)$")
_RESOLVE = re.compile(r"^/(?:(datasets)/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)$")


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        silent = False

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def send(self, status: int, value: Any = None, headers: dict[str, str] | None = None) -> None:
            if self.silent:
                self.close_connection = True
                self.connection.close()
                return
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
            with hub.lock:
                hub.requests.append(f"{self.command} {self.path}")
                found = next((statuses for part, statuses in hub.fail.items() if part in self.path and statuses), None)
                status = 200 if found is None else found.pop(0)
            self.silent = status == -2
            if status in (200, -2):
                return False
            self.body()
            if status == -1:
                hub.done.wait()
            if status <= 0:  # the line is cut
                self.close_connection = True
                self.connection.close()
            else:
                self.send(status, {"error": f"status {status}"})
            return True

        def known(self) -> bool:
            return bool(self.headers.get("Authorization") == f"Bearer {hub.token}")

        def repo(self, kind: str, name: str) -> Repo | None:
            """The repository, where whoever asks may know of it."""
            found = hub.repos.get((kind, name))
            return found if found is None or not found.private or self.known() else None

        def do_POST(self) -> None:
            if self.failing():
                return
            path = urlsplit(self.path).path
            content = self.body()
            if path == "/api/validate-yaml":
                errors = [{"message": error} for error in card_errors(json.loads(content)["content"])]
                return self.send(400 if errors else 200, {"errors": errors, "warnings": []})
            if not self.known():
                return self.send(
                    401, {"error": "Invalid credentials"},
                    {"X-Error-Message": "Invalid credentials in Authorization header"},
                )  # fmt: skip
            if path == "/api/repos/create":
                return self.create(json.loads(content))
            if match := _LFS.match(path):
                return self.lfs(match, json.loads(content))
            match = _REPO.match(path)
            repo = self.repo(match[1], match[2]) if match else None
            if match is None or repo is None:
                return self.missing("RepoNotFound")
            verb, _, rest = (match[3] or "").partition("/")
            name = unquote(rest)
            if verb == "branch":
                started = repo.at(json.loads(content).get("startingPoint") or "main")
                return self.name_commit(repo.branches, name, started)
            if verb == "tag":
                return self.name_commit(repo.tags, json.loads(content)["tag"], repo.at(name))
            at = repo.at(name)
            if at is None:
                return self.missing("RevisionNotFound")
            if verb == "preupload":
                files = [
                    {
                        "path": item["path"],
                        "uploadMode": "lfs" if is_lfs(item["path"]) else "regular",
                        "shouldIgnore": False,
                        "oid": entry(item["path"], at.files[item["path"]])["oid"] if item["path"] in at.files else None,
                    }
                    for item in json.loads(content)["files"]
                ]
                return self.send(200, {"files": files})
            if verb == "commit":
                return self.commit(repo, name, at, content)
            if verb == "paths-info":
                asked = parse_qs(content.decode()).get("paths", []) if b"=" in content else json.loads(content)["paths"]
                found = [entry(path, at.files[path]) for path in asked if path in at.files]
                found += [item for path in asked for item in tree(at.files, "", True)
                          if item["type"] == "directory" and item["path"] == path]  # fmt: skip
                return self.send(200, found)
            return self.missing("EntryNotFound")

        def create(self, asked: dict[str, Any]) -> None:
            kind = "datasets" if asked.get("type") == "dataset" else "models"
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            url = f"{hub.url}/{'datasets/' if kind == 'datasets' else ''}{name}"
            if (kind, name) in hub.repos:
                return self.send(409, {"error": "exists", "url": url})
            private = asked.get("visibility") == "private" or bool(asked.get("private"))
            hub.repos[kind, name] = Repo(kind, name, private)
            return self.send(200, {"url": url, "name": name, "id": name})

        def name_commit(self, names: dict[str, str], name: str, commit: Commit | None) -> None:
            """Give a commit the name of a branch or tag; a name is given once."""
            if commit is None:
                return self.missing("RevisionNotFound")
            if name in names:
                return self.send(409, {"error": f"Reference already exists: {name}"})
            names[name] = commit.sha
            return self.send(201)

        def lfs(self, match: re.Match[str], asked: dict[str, Any]) -> None:
            if match[3] == "verify":
                return self.send(200 if len(hub.objects.get(asked["oid"], b"")) == asked["size"] else 404)
            base = f"{hub.url}/{'datasets/' if match[1] else ''}{match[2]}.git/info/lfs/verify"
            objects = []
            for item in asked["objects"]:
                about: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
                if item["oid"] not in hub.objects:
                    upload = {"href": f"{hub.url}/upload/{item['oid']}"}
                    about["actions"] = {"upload": upload, "verify": {"href": base}}
                objects.append(about)
            return self.send(200, {"transfer": "basic", "objects": objects})

        def commit(self, repo: Repo, branch: str, at: Commit, content: bytes) -> None:
            lines = [json.loads(line) for line in content.splitlines() if line.strip()]
            header = next(line["value"] for line in lines if line["key"] == "header")
            if branch not in repo.branches:
                return self.missing("RevisionNotFound")
            if header.get("parentCommit") not in (None, at.sha):
                return self.send(412, {"error": "A commit has happened since. Please refresh and try again."})
            files = dict(at.files)
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    if value["oid"] not in hub.objects:
                        return self.send(400, {"error": "LFS object was never uploaded"})
                    files[value["path"]] = hub.objects[value["oid"]]
                elif line["key"] == "deletedFile":
                    if files.pop(value["path"], None) is None:
                        return self.missing("EntryNotFound")
                elif line["key"] == "deletedFolder":
                    files = {name: held for name, held in files.items() if not name.startswith(value["path"])}
            made = repo.add(branch, header["summary"], files)
            url = f"{hub.url}/{'datasets/' if repo.kind == 'datasets' else ''}{repo.name}/commit/{made.sha}"
            return self.send(200, {"success": True, "commitOid": made.sha, "commitUrl": url, "hookOutput": ""})

        def do_PUT(self) -> None:
            if self.failing():
                return
            content = self.body()
            path = urlsplit(self.path).path
            if path.startswith("/upload/"):
                oid = hashlib.sha256(content).hexdigest()
                if path != f"/upload/{oid}":
                    return self.send(400, {"error": "the bytes are not those announced"})
                with hub.lock:
                    hub.objects[oid] = content
                    hub.sent.append(oid)
                return self.send(200)
            match = _REPO.match(path)
            repo = self.repo(match[1], match[2]) if match and self.known() else None
            if match is None or repo is None or match[3] != "settings":
                return self.missing("RepoNotFound")
            asked = json.loads(content)
            repo.gated = asked.get("gated", repo.gated)
            repo.private = asked["visibility"] == "private" if "visibility" in asked else repo.private
            return self.send(200, {"private": repo.private, "gated": repo.gated})

        def do_DELETE(self) -> None:
            if self.failing():
                return
            match = _REPO.match(urlsplit(self.path).path)
            repo = self.repo(match[1], match[2]) if match and self.known() else None
            if match is None or repo is None:
                return self.missing("RepoNotFound")
            verb, _, rest = (match[3] or "").partition("/")
            names = {"tag": repo.tags, "branch": repo.branches}.get(verb, {})
            if names.pop(unquote(rest), None) is None:
                return self.missing("RevisionNotFound")
            return self.send(200)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.failing():
                return
            parts = urlsplit(self.path)
            if parts.path == "/api/whoami-v2":
                if not self.known():
                    return self.send(401, {"error": "Invalid credentials"})
                return self.send(200, {"name": "me", "type": "user", "orgs": [], "auth": {"type": "access_token"}})
            if match := _RESOLVE.match(parts.path):
                return self.resolve(match)
            match = _REPO.match(parts.path)
            repo = self.repo(match[1], match[2]) if match else None
            if match is None or repo is None:
                return self.missing("RepoNotFound")
            verb, _, rest = (match[3] or "").partition("/")
            if verb == "refs":
                kinds = {"branches": ("heads", repo.branches), "tags": ("tags", repo.tags)}
                shown = {
                    kind: [
                        {"name": name, "ref": f"refs/{place}/{name}", "targetCommit": sha}
                        for name, sha in names.items()
                    ]
                    for kind, (place, names) in kinds.items()
                }
                return self.send(200, {"converts": [], **shown})
            revision, _, folder = rest.partition("/")
            at = repo.at(unquote(revision) or "main")
            if at is None:
                return self.missing("RevisionNotFound")
            if verb == "tree":
                recursive = parse_qs(parts.query).get("recursive", ["false"])[0].lower() in ("true", "1")
                found = tree(at.files, unquote(folder), recursive)
                return self.send(200, found) if found or not folder else self.missing("EntryNotFound")
            if verb in ("", "revision"):
                about = {
                    "id": repo.name, "sha": at.sha, "private": repo.private, "gated": repo.gated, "tags": [],
                    "downloads": 0, "likes": 0, "siblings": [{"rfilename": name} for name in sorted(at.files)],
                }  # fmt: skip
                return self.send(200, about)
            return self.missing("EntryNotFound")

        def resolve(self, match: re.Match[str]) -> None:
            repo = self.repo(match[1] or "models", match[2])
            if repo is None:
                return self.missing("RepoNotFound")
            if repo.gated and not self.known():
                return self.send(401, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
            at, path = repo.at(unquote(match[3])), unquote(match[4])
            if at is None:
                return self.missing("RevisionNotFound")
            content = at.files.get(path)
            if content is None:
                return self.missing("EntryNotFound")
            etag = hashlib.sha256(content).hexdigest() if is_lfs(path) else blob_id(content)
            headers = {"ETag": f'"{etag}"', "X-Repo-Commit": at.sha, "Accept-Ranges": "bytes"}
            wanted = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range") or "")
            if wanted:
                start, end = int(wanted[1]), int(wanted[2] or len(content) - 1)
                headers["Content-Range"] = f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}"
                return self.send(206, content[start : end + 1], headers)
            return self.send(200, content, headers)

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
        hub.done.set()
        server.shutdown()
        server.server_close()
