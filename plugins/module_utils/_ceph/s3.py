# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed HTTP to object gateways: the S3 API and Ceph's Admin Ops API, with the standard library alone.

Signature: AWS Signature Version 4 (AWS, "Authenticating Requests: Using the Authorization Header").

PRIVATE to the collection.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import re
import threading
import time
import typing as t
import urllib.parse

from ansible_collections.cephstack.cloud.plugins.module_utils._http import Server, Trust
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable

# Gateways accept any region in the credential scope.
REGION = "us-east-1"
_TRIES, _PAUSE = 8, 0.5  # a gateway that takes over a new period answers 503 for a second or two


class Credentials(t.NamedTuple):
    """An access key and its secret."""

    access_key: str
    secret_key: Secret


class ApiFailed(Exception):
    """The gateway was reached and said no. status: the HTTP status. code: such as NoSuchUser."""

    def __init__(self, what: str, status: int, code: str, message: str = "") -> None:
        self.status = status
        self.code = code
        super().__init__(f"{what}: {status} {code}{': ' + message if message else ''}")


def quote(text: str, safe: str = "-_.~") -> str:
    """Percent-encode as the signature wants it."""
    return urllib.parse.quote(text, safe=safe)


def canonical_query(query: t.Mapping[str, str]) -> str:
    """Return the query string in the order and encoding that is signed."""
    return "&".join(f"{key}={value}" for key, value in sorted((quote(key), quote(value)) for key, value in query.items()))


def sign(
    credentials: Credentials,
    method: str,
    host: str,
    path: str,
    query: t.Mapping[str, str],
    body: bytes,
    now: datetime.datetime,
    headers: t.Optional[t.Mapping[str, str]] = None,
    region: str = REGION,
    sign_body: bool = True,
) -> dict[str, str]:
    """Return all headers of a request, signed. path: already percent-encoded. now: in UTC."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest() if sign_body else "UNSIGNED-PAYLOAD"
    wanted = {**{key.lower(): value.strip() for key, value in (headers or {}).items()}, "host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = sorted(wanted)
    canonical = "\n".join([method, path, canonical_query(query), *(f"{name}:{wanted[name]}" for name in names), "", ";".join(names), digest])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + credentials.secret_key.reveal().encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    wanted["authorization"] = f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope},SignedHeaders={';'.join(names)},Signature={signature}"
    return wanted


class Client:
    """The gateways of one zone. Any of them will do; safe to use from threads (each keeps a connection of its own).

    endpoints: such as "http://10.77.0.11:8080". names: those of Trust. Raises Invalid.
    """

    def __init__(
        self, endpoints: t.Sequence[str], validate_certs: bool = True, ca_path: t.Optional[str] = None, timeout: float = 30, names: t.Sequence[str] = ()
    ) -> None:
        trust = Trust(validate_certs, ca_path, names)
        self._gateways = [Server(endpoint, trust, timeout, f"{endpoint}:") for endpoint in endpoints]
        self._local = threading.local()

    def wait(self, seconds: float) -> None:
        """Wait until every gateway answers a request of nobody's. Raises Unreachable, naming those that don't."""
        end = time.monotonic() + seconds
        silent = dict.fromkeys(self._gateways, "")
        while True:
            for gateway in list(silent):
                try:
                    status = gateway.request("an unsigned read", "GET", gateway.path or "/", safe=True).status
                    if status < 500:
                        del silent[gateway]
                    else:
                        silent[gateway] = f"{gateway} HTTP status {status}"
                except Unreachable as error:
                    silent[gateway] = str(error)
            if not silent:
                return
            if time.monotonic() > end:
                raise Unreachable(f"object gateways do not answer within {seconds} s: " + "; ".join(silent.values()))
            time.sleep(_PAUSE)

    def status_without_key(self, path: str) -> int:
        """Return the HTTP status of an unsigned read at the first gateway. path: not yet encoded. Raises Unreachable."""
        return self._gateways[0].request("an unsigned read", "GET", quote(path, safe="/-_.~"), safe=True).status

    def _gateway(self) -> Server:
        """Return the gateway of this thread, the first one that can be reached. Raises Unreachable."""
        if getattr(self._local, "gateway", None) is None:
            failures = []
            for gateway in self._gateways:
                try:
                    gateway.open()
                except Unreachable as error:
                    failures.append(str(error))
                    continue
                self._local.gateway = gateway
                break
            else:
                raise Unreachable("no object gateway answers: " + "; ".join(failures or ["no endpoint was given"]))
        return self._local.gateway

    def request(
        self,
        credentials: Credentials,
        method: str,
        path: str,
        query: t.Optional[t.Mapping[str, str]] = None,
        body: bytes = b"",
        headers: t.Optional[t.Mapping[str, str]] = None,
        sign_body: bool = True,
    ) -> bytes:
        """Send one request; return the body of its answer. path: not yet encoded. Raises ApiFailed, Unreachable."""
        query = query or {}
        encoded = quote(path, safe="/-_.~")
        what = f"{method} {path}{'?' + '&'.join(sorted(query)) if query else ''}"
        for remaining in reversed(range(_TRIES)):
            gateway = self._gateway()
            now = datetime.datetime.now(datetime.timezone.utc)
            signed = sign(credentials, method, gateway.netloc, encoded, query, body, now, headers, sign_body=sign_body)
            try:
                answer = gateway.request(what, method, encoded + ("?" + canonical_query(query) if query else ""), body, signed, safe=True)
            except Unreachable:
                self._local.gateway = None
                if not remaining:
                    raise
                time.sleep(_PAUSE)
                continue
            if answer.status == 503 and remaining:
                time.sleep(_PAUSE)
                continue
            if answer.status >= 300:
                raise ApiFailed(what, answer.status, *_said(answer.body))
            return answer.body
        raise AssertionError("unreachable")

    def json(self, credentials: Credentials, method: str, path: str, query: t.Optional[t.Mapping[str, str]] = None, body: bytes = b"") -> t.Any:
        """The same, for the Admin Ops API: return the parsed answer, None where it is empty."""
        # The gateways answer 501 to a signed body in this API (rgw_auth_s3: "completion for this operation NOT IMPLEMENTED")
        data = self.request(credentials, method, path, {"format": "json", **(query or {})}, body, sign_body=not body)
        return json.loads(data) if data.strip() else None


def _said(data: bytes) -> tuple[str, str]:
    """Return the code and the message of an error, which is JSON from one API and XML from the other."""
    text = data.decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
        return str(parsed.get("Code") or "error"), str(parsed.get("Message") or "")
    except (ValueError, AttributeError):
        code, message = (re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL) for name in ("Code", "Message"))
        return code.group(1) if code else "error", message.group(1) if message else ""
