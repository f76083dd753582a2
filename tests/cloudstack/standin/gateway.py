# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small object gateway, as much of it as object stores need: S3 (signature version 4), and Ceph's Admin Ops API for users and buckets.

A user with caps users=*;buckets=* as admin, and one without as user, are there from the beginning.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import http.server
import json
import re
import secrets
import socket
import threading
import typing as t
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_EMPTY = hashlib.sha256(b"").hexdigest()


class Keys(t.NamedTuple):
    """An access key and its secret."""

    access: str
    secret: str


def sign(method: str, path: str, query: t.Mapping[str, str], headers: t.Mapping[str, str], names: t.Sequence[str], scope: str, secret: str) -> str:
    """The signature, version 4, of a request. headers: by names in lower case. scope: DATE/REGION/s3/aws4_request. path: as sent."""
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in query.items())
    canonical = "\n".join(
        [
            method,
            quote(unquote(path), safe="/-_.~"),
            "&".join(f"{key}={value}" for key, value in pairs),
            "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names),
            ";".join(names),
            headers.get("x-amz-content-sha256", _EMPTY),
        ]
    )
    text = "\n".join(["AWS4-HMAC-SHA256", headers.get("x-amz-date", ""), scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


# -- a client of any gateway


def ask(url: str, keys: Keys, method: str, path: str, query: t.Optional[t.Mapping[str, str]] = None, timeout: float = 15) -> t.Tuple[int, bytes]:
    """Status and body of a signed request without a body. Raises OSError."""
    parts = urlsplit(url)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": parts.netloc, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
    names, scope = sorted(headers), f"{stamp[:8]}/us-east-1/s3/aws4_request"
    signature = sign(method, path, query or {}, headers, names, scope, keys.secret)
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    target = path + ("?" + "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in sorted(query.items())) if query else "")
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = make(parts.netloc, timeout=timeout)
    try:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def user(url: str, admin: Keys, uid: str) -> t.Optional[Keys]:
    """The keys of a user, which is made where there is none; None where that fails."""
    status, body = ask(url, admin, "GET", "/admin/user", {"uid": uid, "format": "json"})
    if status == 404:
        status, body = ask(url, admin, "PUT", "/admin/user", {"uid": uid, "display-name": uid, "format": "json"})
    if status != 200:
        return None
    key = json.loads(body)["keys"][0]
    return Keys(key["access_key"], key["secret_key"])


# -- the gateway itself


class _Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        self.status, self.code = status, code
        super().__init__(code)


class Gateway:
    """Users, buckets and objects."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users: t.Dict[str, t.Dict[str, t.Any]] = {}
        self.buckets: t.Dict[str, t.Tuple[str, t.Dict[str, bytes]]] = {}  # name: owner's uid, objects
        self.admin = self.add("admin", {"users": "*", "buckets": "*"})
        self.user = self.add("user", {})

    def add(self, uid: str, caps: t.Mapping[str, str]) -> Keys:
        keys = Keys(secrets.token_hex(10).upper(), secrets.token_urlsafe(30))
        self.users[uid] = {"keys": keys, "caps": dict(caps)}
        return keys

    def who(self, method: str, path: str, query: t.Mapping[str, str], headers: t.Mapping[str, str]) -> str:
        """The uid of who signed a request. Raises _Refused."""
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)", headers.get("authorization", ""))
        if not match:
            raise _Refused(403, "AccessDenied")
        access, scope, names, given = match.groups()
        uid = next((uid for uid, one in self.users.items() if one["keys"].access == access), None)
        if uid is None:
            raise _Refused(403, "InvalidAccessKeyId")
        wanted = sign(method, path, query, headers, names.split(";"), scope, self.users[uid]["keys"].secret)
        if not hmac.compare_digest(wanted, given):
            raise _Refused(403, "SignatureDoesNotMatch")
        return uid

    def answer(self, method: str, path: str, query: t.Mapping[str, str], headers: t.Mapping[str, str], body: bytes) -> t.Tuple[int, bytes]:
        """Status and body. Raises _Refused."""
        with self.lock:
            uid = self.who(method, path, query, headers)
            if path.startswith("/admin/"):
                return self._admin(uid, method, path[len("/admin/") :].strip("/"), query)
            name, _slash, key = unquote(path).strip("/").partition("/")
            return self._object(uid, method, name, key, body) if key else self._bucket(uid, method, name)

    def _admin(self, uid: str, method: str, noun: str, query: t.Mapping[str, str]) -> t.Tuple[int, bytes]:
        if noun not in ("user", "bucket"):
            raise _Refused(405, "MethodNotAllowed")
        if self.users[uid]["caps"].get(noun + "s") != "*":
            raise _Refused(403, "AccessDenied")
        if noun == "bucket":
            return 200, json.dumps(sorted(self.buckets)).encode()
        wanted = query.get("uid") or next((one for one, row in self.users.items() if row["keys"].access == query.get("access-key")), "")
        if method == "PUT" and wanted not in self.users:
            self.add(wanted, {})
        if wanted not in self.users:
            raise _Refused(404, "NoSuchUser")
        row = self.users[wanted]
        caps = [{"type": kind, "perm": perm} for kind, perm in row["caps"].items()]
        key = {"user": wanted, "access_key": row["keys"].access, "secret_key": row["keys"].secret}
        return 200, json.dumps({"user_id": wanted, "display_name": wanted, "keys": [key], "caps": caps}).encode()

    def _bucket(self, uid: str, method: str, name: str) -> t.Tuple[int, bytes]:
        if not name:
            listed = "".join(f"<Bucket><Name>{one}</Name></Bucket>" for one, (owner, _objects) in self.buckets.items() if owner == uid)
            return 200, f"<ListAllMyBucketsResult><Buckets>{listed}</Buckets></ListAllMyBucketsResult>".encode()
        if method == "PUT":
            if self.buckets.setdefault(name, (uid, {}))[0] != uid:
                raise _Refused(409, "BucketAlreadyExists")
            return 200, b""
        objects = self._objects(uid, name)
        if method == "DELETE":
            if objects:
                raise _Refused(409, "BucketNotEmpty")
            del self.buckets[name]
            return 204, b""
        listed = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in sorted(objects))
        return 200, f"<ListBucketResult><Name>{name}</Name>{listed}</ListBucketResult>".encode()

    def _object(self, uid: str, method: str, name: str, key: str, body: bytes) -> t.Tuple[int, bytes]:
        objects = self._objects(uid, name)
        if method == "PUT":
            objects[key] = body
            return 200, b""
        if method == "DELETE":
            objects.pop(key, None)
            return 204, b""
        if key not in objects:
            raise _Refused(404, "NoSuchKey")
        return 200, objects[key]

    def _objects(self, uid: str, name: str) -> t.Dict[str, bytes]:
        if name not in self.buckets:
            raise _Refused(404, "NoSuchBucket")
        owner, objects = self.buckets[name]
        if owner != uid:
            raise _Refused(403, "AccessDenied")
        return objects


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    gateway: Gateway

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *unused: t.Any) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            status, said = self.gateway.answer(self.command, parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)), headers, body)
        except _Refused as refused:
            status = refused.status
            said = f"<Error><Code>{refused.code}</Code></Error>".encode()
            if parts.path.startswith("/admin/"):
                said = json.dumps({"Code": refused.code}).encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if status != 204 and self.command != "HEAD":
            self.wfile.write(said)
        self.wfile.flush()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer


def serve(port: int = 0) -> t.Tuple[http.server.ThreadingHTTPServer, Gateway, str]:
    """Serve on 127.0.0.1; port 0 is a free one. Returns the server, the gateway and its address."""
    gateway = Gateway()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"gateway": gateway}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, gateway, f"http://127.0.0.1:{server.server_address[1]}"
