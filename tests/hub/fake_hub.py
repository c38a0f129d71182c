"""A Hugging Face Hub on this machine: the paths that downloads and uploads use, on two ports as the real one has a
second host for large files, and every way in which a file can arrive wrong."""

import base64
import collections
import contextlib
import hashlib
import http.server
import json
import re
import threading
import time
import urllib.parse

Request = collections.namedtuple("Request", "host method path headers body")


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Repo:
    """Files of one repository; `large` names are kept as the real Hub keeps LFS files."""

    def __init__(self, files, large=(), token=None, gated=False):
        self.files = dict(files)
        self.large = set(large)
        self.token = token  # whoever reads must have it
        self.gated = gated
        self.revisions = {"main": self.commit()}
        self.history = {self.commit(): dict(self.files)}

    def commit(self):
        return hashlib.sha1(json.dumps([(n, sha256(c)) for n, c in sorted(self.files.items())]).encode()).hexdigest()

    def push(self, files, revision="main"):
        """A new commit on a branch."""
        self.files.update(files)
        self.revisions[revision] = self.commit()
        self.history[self.commit()] = dict(self.files)
        return self.commit()

    def at(self, revision):
        commit = self.revisions.get(revision, revision)
        return (commit, self.history[commit]) if commit in self.history else (None, None)

    def etag(self, name, content):
        return sha256(content) if name in self.large else git_sha1(content)


class FakeHub:
    """`faults[name]` is a list, one entry for each of the next requests for the file's bytes:
    cut:N, short:N, long, wrong, hang:N, status:CODE[:RETRY_AFTER], none; for "upload" drop and status.
    `api_faults` the same for the API."""

    def __init__(self):
        self.repos = {}
        self.faults = collections.defaultdict(list)
        self.api_faults = []
        self.requests = []
        self.ignores_ranges = False
        self.bytes_per_second = None
        self.moved = {}  # old name -> new name
        self.moved_form = "{}"  # of the address in the answer
        self.lock = threading.Lock()
        self.uploads = {}  # sha256 -> bytes, of LFS
        self.parts = {}
        self.multipart_bytes = None
        self.hub = self._server("hub")
        self.cdn = self._server("cdn")

    def _server(self, host):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.fake, server.host = self, host
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.hub.server_port}"

    @property
    def cdn_endpoint(self):
        return f"http://127.0.0.1:{self.cdn.server_port}"

    def close(self):
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def paths(self, method="GET", host=None):
        return [r.path for r in self.requests if r.method == method and host in (None, r.host)]

    def next_fault(self, name):
        with self.lock:
            queue = self.api_faults if name is None else self.faults[name]
            return queue.pop(0) if queue else "none"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_one()

    do_HEAD = do_POST = do_PUT = do_GET

    def handle_one(self):
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urllib.parse.unquote(self.path)
        fake.requests.append(Request(self.server.host, self.command, path, dict(self.headers.items()), body))
        if path.startswith("http://"):  # as a proxy
            path = "/" + path.split("/", 3)[3]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            old = next((old for old in fake.moved if f"/{old}/" in path), None)
            if self.server.host == "cdn":
                self.serve_cdn(path, body)
            elif old:
                self.answer(307, b"", Location=fake.moved_form.format(path.replace(old, fake.moved[old])))
            elif path.startswith("/api/"):
                self.serve_api(path, body)
            elif path.startswith(("/complete/", "/verify")):
                self.complete(path, body)
            elif path.endswith("/info/lfs/objects/batch"):
                self.serve_batch(body)
            else:
                self.serve_resolve(path)

    # --- answers

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, value, status=200):
        self.answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def fails(self, fault):
        kind, *words = fault.split(":")
        if kind != "status":
            return False
        headers = {"Retry_After": words[1]} if len(words) > 1 else {}
        self.answer(int(words[0]), b"no", **headers)
        return True

    def repo_for(self, name):
        """The repository, or None after the answer that it gets instead."""
        repo = self.server.fake.repos.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repo is None or (repo.token and token != repo.token):
            if repo is not None and repo.gated:
                self.answer(403 if token else 401, b"", X_Error_Code="GatedRepo")
            elif token:
                self.answer(404, b"", X_Error_Code="RepoNotFound")
            else:
                self.answer(401, b"", X_Error_Code="RepoNotFound")
            return None
        return repo

    # --- files

    def serve_resolve(self, path):
        match = re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if not match:
            return self.answer(404)
        name, revision, file = match.groups()
        repo = self.repo_for(name)
        if repo is None:
            return None
        commit, files = repo.at(revision)
        if commit is None:
            return self.answer(404, b"", X_Error_Code="RevisionNotFound")
        if file not in files:
            return self.answer(404, b"", X_Error_Code="EntryNotFound")
        content = files[file]
        etag = f'"{repo.etag(file, content)}"'
        if file in repo.large:
            location = f"{self.server.fake.cdn_endpoint}/{name}/{commit}/{urllib.parse.quote(file)}?signature=1"
            return self.answer(302, b"moved", Location=location, X_Repo_Commit=commit, X_Linked_Etag=etag,
                               X_Linked_Size=str(len(content)))
        return self.serve_bytes(file, content, etag, X_Repo_Commit=commit)

    def serve_cdn(self, path, body):
        if self.command == "PUT":
            return self.take_upload(path, body)
        org, name, commit, file = path.split("?")[0][1:].split("/", 3)
        content = self.server.fake.repos[f"{org}/{name}"].history[commit][file]
        # another ETag than the Hub's, as S3 gives
        return self.serve_bytes(file, content, f'"{hashlib.md5(content).hexdigest()}-1"')

    def serve_bytes(self, name, content, etag, **headers):
        fake = self.server.fake
        if self.command == "HEAD":
            return self.answer(200, content, ETag=etag, **headers)
        fault = fake.next_fault(name)
        if self.fails(fault):
            return None
        kind, *words = fault.split(":")
        if kind == "wrong":
            content = bytes(byte ^ 1 for byte in content)
        begin, status = 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and not fake.ignores_ranges and self.headers.get("If-Range", etag) == etag:
            begin, status = int(wanted[1]), 206
            if begin >= len(content):
                return self.answer(416, b"", Content_Range=f"bytes */{len(content)}")
        piece = content[begin:]
        if kind == "short":
            piece = piece[: int(words[0])]
        if kind == "long":
            piece += b"more"
        self.send_response(status)
        self.send_header("ETag", etag)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        return self.send_piece(piece, kind, words)

    def send_piece(self, piece, kind, words):
        if kind in ("cut", "hang"):
            self.wfile.write(piece[: int(words[0])])
            self.wfile.flush()
            if kind == "hang":
                time.sleep(5)
            self.close_connection = True
            self.connection.shutdown(2)
            return
        speed = self.server.fake.bytes_per_second
        step = len(piece) if speed is None else max(1, speed // 50)
        for at in range(0, len(piece), step or 1):
            self.wfile.write(piece[at : at + step])
            if speed is not None:
                self.wfile.flush()
                time.sleep(1 / 50)

    # --- the API

    def serve_api(self, path, body):
        if self.fails(self.server.fake.next_fault(None)):
            return None
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        match = re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)(?:/(revision|preupload|commit)/(.+))?", path)
        if not match:
            return self.answer(404)
        repo = self.repo_for(match[1])
        if repo is None:
            return None
        if match[2] == "preupload":
            return self.preupload(json.loads(body))
        if match[2] == "commit":
            return self.take_commit(repo, match[3], [json.loads(line) for line in body.splitlines()])
        commit, files = repo.at(match[3] or "main")
        if commit is None:
            return self.answer(404, b"", X_Error_Code="RevisionNotFound")
        return self.answer_json({"id": match[1], "sha": commit, "siblings": [{"rfilename": name} for name in files]})

    # --- uploads

    def create(self, wanted):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.server.fake.repos:
            return self.answer(409)
        repo = self.server.fake.repos[name] = Repo({}, token=token)
        repo.private, repo.type = wanted["private"], wanted.get("type", "model")
        return self.answer_json({"url": name})

    def preupload(self, wanted):
        modes = []
        for file in wanted["files"]:
            large = file["path"].endswith(".safetensors") or file["size"] > 1_000_000
            assert len(base64.b64decode(file["sample"])) == min(512, file["size"])
            modes.append({"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False})
        return self.answer_json({"files": modes})

    def serve_batch(self, body):
        fake = self.server.fake
        objects = []
        for wanted in json.loads(body)["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            url = f"{fake.cdn_endpoint}/upload/{oid}"
            upload = {"href": url, "header": {}}
            if fake.multipart_bytes and size > fake.multipart_bytes:
                count = -(-size // fake.multipart_bytes)
                upload = {"href": f"{fake.endpoint}/complete/{oid}", "header": {
                    "chunk_size": str(fake.multipart_bytes),
                    **{f"{part:05}": f"{url}/{part}" for part in range(1, count + 1)}}}
            there = {} if oid in fake.uploads else {"actions": {
                "upload": upload, "verify": {"href": f"{fake.endpoint}/verify"}}}
            objects.append({"oid": oid, "size": size, **there})
        return self.answer_json({"transfer": "basic", "objects": objects})

    def take_upload(self, path, body):
        fake = self.server.fake
        fault = fake.next_fault("upload")
        if fault == "drop":
            self.close_connection = True
            return self.connection.shutdown(2)
        if self.fails(fault):
            return None
        _, _, oid, *part = path.split("/")
        if part:
            fake.parts[oid, int(part[0])] = body
        else:
            fake.uploads[oid] = body
        return self.answer(200, b"", ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def complete(self, path, body):
        """The end of an upload in parts, or a question whether one is whole."""
        fake, wanted = self.server.fake, json.loads(body)
        oid = wanted["oid"]
        if path == "/verify":
            return self.answer(200 if len(fake.uploads.get(oid, b"")) == wanted["size"] else 404)
        pieces = []
        for part in wanted["parts"]:
            pieces.append(fake.parts[oid, part["partNumber"]])
            assert part["etag"] == f'"{hashlib.md5(pieces[-1]).hexdigest()}"'
        fake.uploads[oid] = b"".join(pieces)
        return self.answer(200)

    def take_commit(self, repo, revision, lines):
        head, *rest = lines
        assert head["key"] == "header" and head["value"]["summary"]
        files = {}
        for line in rest:
            value = line["value"]
            if line["key"] == "lfsFile":
                content = self.server.fake.uploads.get(value["oid"])
                if content is None or sha256(content) != value["oid"]:
                    return self.answer(400)
                repo.large.add(value["path"])
            else:
                content = base64.b64decode(value["content"])
            files[value["path"]] = content
        repo.push(files, revision)
        return self.answer_json({"commitOid": repo.commit()})
