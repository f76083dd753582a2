# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object gateways: the S3 API by boto3, and Ceph's Admin Ops API, whose requests are signed in the same way.

boto3's go over this collection's own connections, for gateways are asked by their addresses and have certificates for names.

PRIVATE to the collection.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import threading
import time
import typing as t
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._host.wait import wait_until
from ansible_collections.cephstack.cloud.plugins.module_utils._http import Answer, Server, Trust
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable

try:
    import boto3.session
    import botocore.session
    import urllib3
    from botocore import UNSIGNED, auth, awsrequest, handlers
    from botocore import credentials as botocore_credentials
    from botocore.config import Config
except ImportError:
    boto3 = None

READY = boto3 is not None  # whether a gateway can be asked; else only in a dry run, before the package is installed
REGION = "us-east-1"  # gateways accept any in the credential scope
_TRIES, _PAUSE = 8, 0.5  # a gateway that takes over a new period answers 503 for a second or two


class Credentials(t.NamedTuple):
    access_key: str
    secret_key: Secret


# Of a user, or what gives them where a request is signed: a user may be yet to be made.
Owner = t.Union[Credentials, t.Callable[[], Credentials]]


class ApiFailed(Exception):
    """The gateway was reached and said no. status: the HTTP status. code: such as NoSuchUser."""

    def __init__(self, what: str, status: int, code: str, message: str = "") -> None:
        self.status = status
        self.code = code
        super().__init__(f"{what}: {status} {code}{': ' + message if message else ''}")


def canonical_query(query: t.Mapping[str, str]) -> str:
    """The query string in the order and encoding that is signed."""
    return "&".join(sorted(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in query.items()))


def sign(credentials: Credentials, method: str, url: str, body: bytes, headers: t.Mapping[str, str], sign_body: bool = True) -> dict[str, str]:
    """Return all headers of a request, signed. url: already percent-encoded."""
    request = awsrequest.AWSRequest(method, url, {**headers, "Host": urlsplit(url).netloc}, body)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": sign_body})
    known = botocore_credentials.Credentials(credentials.access_key, credentials.secret_key.reveal())
    auth.S3SigV4Auth(known, "s3", REGION).add_auth(request)
    return dict(request.headers.items())


@functools.cache
def _session() -> t.Any:
    # Nothing that somebody on this host has set for himself: no profile, no files.
    own = {"profile": (None, None, None, None), **dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))}
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=own))


class Client:
    """The gateways of one zone, "http://10.77.0.11:8080"; any will do. Safe in threads, each has its connection. names: those of Trust. Raises Invalid."""

    def __init__(
        self, endpoints: t.Sequence[str], validate_certs: bool = True, ca_path: t.Optional[str] = None, timeout: float = 30, names: t.Sequence[str] = ()
    ) -> None:
        trust = Trust(validate_certs, ca_path, names)
        self._gateways = [Server(endpoint, trust, timeout, f"{endpoint}:") for endpoint in endpoints]
        self._local = threading.local()

    def wait(self, seconds: float) -> None:
        """Wait until every gateway answers a request of nobody's. Raises Unreachable, naming those that don't."""
        silent: list[str] = []

        def all_answer() -> bool:
            silent[:] = filter(None, map(_trouble, self._gateways))
            return not silent

        wait_until(all_answer, seconds, lambda: Unreachable(f"object gateways do not answer within {seconds} s: {'; '.join(silent)}"), _PAUSE)

    def status_without_key(self, path: str) -> int:
        """The HTTP status of an unsigned read at the first gateway. path: not yet encoded. Raises Unreachable."""
        return self._gateways[0].request("an unsigned read", "GET", quote(path, safe="/-_.~"), safe=True).status

    def s3(self, owner: Owner) -> t.Any:
        """Make boto3's client of S3 as a user; threads may use it, but not make it. Its calls raise ApiFailed and Unreachable."""
        options: dict[str, t.Any] = {"signature_version": UNSIGNED, "s3": {"addressing_style": "path"}, "retries": {"max_attempts": 0}}
        if "request_checksum_calculation" in Config.OPTION_DEFAULTS:  # gateways before Ceph 20 know no checksums behind a body
            options.update(request_checksum_calculation="when_required", response_checksum_validation="when_required")
        # Which gateway is asked, and so the signature, is decided where a request is sent.
        made = _session().client("s3", REGION, endpoint_url="http://gateway", aws_access_key_id="-", aws_secret_access_key="-", config=Config(**options))
        made.meta.events.unregister("before-parameter-build.s3", handlers.validate_bucket_name)  # which is the gateway's to say

        def send(request: t.Any, **_more: t.Any) -> t.Any:
            body = request.body.read() if hasattr(request.body, "read") else request.body or b""
            parts = urlsplit(request.url)
            # Nobody would wait for what the header "expect" asks for.
            texts = {key: value.decode() if isinstance(value, bytes) else str(value) for key, value in request.headers.items()}
            headers = {key: text for key, text in texts.items() if key.lower() not in ("expect", "content-length")}
            answer = self._send(owner, request.method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
            raw = urllib3.HTTPResponse(io.BytesIO(answer.body), preload_content=False)
            return awsrequest.AWSResponse(request.url, answer.status, awsrequest.HeadersDict(answer.headers.items()), raw)

        made.meta.events.register("before-send.s3", send)
        return made

    def _gateway(self) -> Server:
        """Return the gateway of this thread, the first one that can be reached. Raises Unreachable."""
        known: t.Optional[Server] = getattr(self._local, "gateway", None)
        if known is not None:
            return known
        failures = []
        for gateway in self._gateways:
            try:
                gateway.open()
            except Unreachable as error:
                failures.append(str(error))
            else:
                self._local.gateway = gateway
                return gateway
        raise Unreachable("no object gateway answers: " + "; ".join(failures or ["no endpoint was given"]))

    def _send(self, owner: Owner, method: str, target: str, body: bytes, headers: t.Mapping[str, str], sign_body: bool = True) -> Answer:
        """target: path and query, percent-encoded."""
        path, _sign, query = target.partition("?")
        what = f"{method} {unquote(path)}{'?' + '&'.join(sorted(word.partition('=')[0] for word in query.split('&'))) if query else ''}"
        credentials = owner() if callable(owner) else owner
        for remaining in reversed(range(_TRIES)):
            gateway = self._gateway()
            signed = sign(credentials, method, f"http://{gateway.netloc}{target}", body, headers, sign_body)
            try:
                answer = gateway.request(what, method, target, body, signed, safe=True)
                if answer.status < 300:
                    return answer
                if answer.status != 503 or not remaining:
                    raise ApiFailed(what, answer.status, *_said(answer.body))
            except Unreachable:
                self._local.gateway = None
                if not remaining:
                    raise
            time.sleep(_PAUSE)
        raise AssertionError("the last try returns or raises")

    def request(self, owner: Owner, method: str, path: str, query: t.Optional[t.Mapping[str, str]] = None, body: bytes = b"", sign_body: bool = True) -> bytes:
        """Send one request; return the body of its answer. path: not yet encoded. Raises ApiFailed, Unreachable."""
        return self._send(owner, method, quote(path) + ("?" + canonical_query(query) if query else ""), body, {}, sign_body).body

    def json(self, owner: Owner, method: str, path: str, query: t.Mapping[str, str], body: bytes = b"") -> t.Any:
        """The same, for the Admin Ops API: return the parsed answer, None where it is empty."""
        # The gateways answer 501 to a signed body in this API (rgw_auth_s3: "completion for this operation NOT IMPLEMENTED")
        data = self.request(owner, method, path, {"format": "json", **query}, body, sign_body=not body)
        return json.loads(data) if data.strip() else None


def _trouble(gateway: Server) -> str:
    """Why a gateway does not answer a request of nobody's, "" where it does."""
    try:
        status = gateway.request("an unsigned read", "GET", gateway.path or "/", safe=True).status
    except Unreachable as error:
        return str(error)
    return f"{gateway} HTTP status {status}" if status >= 500 else ""


def _said(data: bytes) -> tuple[str, str]:
    """The code and the message of an error, which is JSON from one API and XML from the other."""
    text = data.decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
        return str(parsed.get("Code") or "error"), str(parsed.get("Message") or "")
    except (ValueError, AttributeError):
        code, message = (re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL) for name in ("Code", "Message"))
        return code.group(1) if code else "error", message.group(1) if message else ""
