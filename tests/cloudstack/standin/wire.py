# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server on the wire: HTTP, signatures, sessions, envelopes."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import http.server
import json
import secrets
import socket
import threading
import typing as t
from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, quote, urlsplit

from standin import accounts, catalogue, hosts, networks, object_storage, settings, storage, system_vms, zones
from standin.api import COMMANDS, Api, Call, Jobs, Refused
from standin.state import Row, State

PATH = "/client/api"
_DENIED = "unable to verify user credentials and/or request signature"
# The nouns, in the order in which what is there from the beginning is made.
NOUNS = (accounts, settings, catalogue, zones, networks, hosts, storage, object_storage, system_vms)


class Denied(Exception):
    """Unknown command, wrong keys: the server does not tell the difference."""


class StandIn:
    """A management server that has just been installed. log: what gets a line for each call."""

    def __init__(self, log: t.Optional[t.TextIO] = None) -> None:
        self._log = log
        self.api, self.state, self.jobs = Api(), State(), Jobs()
        self.sessions: t.Dict[str, str] = {}  # key: id of a user
        for noun in NOUNS:
            noun.begin(self)

    def answer(self, sent: t.Dict[str, str], cookies: t.Mapping[str, str]) -> t.Tuple[int, Row, t.List[t.Tuple[str, str]]]:
        """Status, envelope and headers for a request."""
        answered = self._answer(sent, cookies)
        if self._log:
            self._log.write(f"{sent.get('command')} {answered[0]}\n")
        return answered

    def _answer(self, sent: t.Dict[str, str], cookies: t.Mapping[str, str]) -> t.Tuple[int, Row, t.List[t.Tuple[str, str]]]:
        name = sent.get("command", "")
        envelope = self.api.envelope(name)
        headers: t.List[t.Tuple[str, str]] = []
        try:
            if name == "login":
                body = accounts.login(self, sent)
                headers = [("Set-Cookie", f"sessionkey={body['sessionkey']};Path=/client"), ("Set-Cookie", "JSESSIONID=stand-in;Path=/client")]
                return 200, {envelope: body}, headers
            user = self._user(sent, cookies)
            if name not in self.api.commands:
                raise Denied
            return 200, {envelope: self._execute(name, sent, user)}, headers
        except Denied:
            return 401, {envelope: {"uuidList": [], "errorcode": 401, "errortext": _DENIED}}, headers
        except Refused as refused:
            return refused.code, {envelope: refused.body()}, headers + [("X-Description", refused.text)]

    def _execute(self, name: str, sent: t.Dict[str, str], user: Row) -> Row:
        with self.state.lock:
            params = self.api.parsed(name, sent, self.state)
        made = COMMANDS.get(name)
        if made is None:
            raise Refused(530, f"the stand-in does not do {name}", 9999)
        call = Call(self, name, params, user)

        def run() -> t.Any:
            if not made.locked:
                return made.handler(call)
            with self.state.lock:
                return made.handler(call)

        if not self.api.commands[name].get("async"):
            result = run()
            with self.state.lock:
                return self.api.shaped(made, params, result)
        if made.creates:
            result = run()
            with self.state.lock:
                shaped = self.api.shaped(made, params, result)
            return {"id": result["id"], "jobid": self.jobs.start(call, lambda: shaped)}
        return {"jobid": self.jobs.start(call, lambda: self.api.shaped(made, params, run()))}

    def _user(self, sent: t.Mapping[str, str], cookies: t.Mapping[str, str]) -> Row:
        """Who calls: by a session (cookie and parameter), or by keys and signature. Raises Denied."""
        if "sessionkey" in sent:
            user = self.state.get("users", self.sessions.get(sent["sessionkey"]))
            if not user or cookies.get("sessionkey") != sent["sessionkey"]:
                raise Denied
            return user
        given = {name.lower(): value for name, value in sent.items()}
        user = next((row for row in self.state.rows("users") if row.get("apikey") and row["apikey"] == given.get("apikey")), None)
        if user is None or user["state"] != "enabled":
            raise Denied
        if not hmac.compare_digest(signature(sent, user["_secretkey"]), given.get("signature", "")):
            raise Denied
        if given.get("signatureversion") == "3":
            try:
                expires = datetime.datetime.strptime(given["expires"], "%Y-%m-%dT%H:%M:%S%z")
            except (KeyError, ValueError):
                raise Denied from None
            if expires < datetime.datetime.now(datetime.timezone.utc):
                raise Denied
        return user


def signature(sent: t.Mapping[str, str], secret: str) -> str:
    """What a request must be signed with: HMAC-SHA1 of its parameters, sorted by the names as sent, all in lower case.

    Java's URLEncoder leaves letters, digits and . - * _ as they are.
    """
    words = [f"{name}={quote(value, safe='*').replace('~', '%7E')}" for name, value in sorted(sent.items()) if name.lower() != "signature"]
    return base64.b64encode(hmac.new(secret.encode(), "&".join(words).lower().encode(), hashlib.sha1).digest()).decode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet
    stand_in: StandIn

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *unused: t.Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self._answer("&".join(part for part in (urlsplit(self.path).query, body) if part))

    def _answer(self, query: str) -> None:
        if urlsplit(self.path).path.rstrip("/") != PATH:
            self._send(404, b"not found", "text/plain", [])
            return
        cookies = {name: morsel.value for name, morsel in SimpleCookie(self.headers.get("Cookie") or "").items()}
        status, envelope, headers = self.stand_in.answer(dict(parse_qsl(query, keep_blank_values=True)), cookies)
        self._send(status, json.dumps(envelope).encode(), "application/json;charset=utf-8", headers)

    def _send(self, status: int, body: bytes, kind: str, headers: t.Sequence[t.Tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value.replace("\n", " ").encode("latin-1", "replace").decode("latin-1"))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(http.server.ThreadingHTTPServer):
    """An HTTP server, each connection in a thread."""

    daemon_threads = True
    request_queue_size = 128


def serve(stand_in: StandIn, port: int = 0) -> t.Tuple[Server, str]:
    """Serve on 127.0.0.1; port 0 is a free one. Returns the server and the API's address."""
    handler = type("Handler", (_Handler,), {"stand_in": stand_in})
    server = Server(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}{PATH}"


def new_key() -> str:
    return secrets.token_urlsafe(64)
