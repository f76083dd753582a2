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
import http.client
import ipaddress
import json
import re
import socket
import ssl
import threading
import time
import typing as t
import urllib.parse

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


class Trust:
    """How to trust the certificates of gateways.

    names: those that a certificate may be for where a gateway is asked by its address. A certificate that clients verify has the name by which
    they know the gateways, and no address in it.
    """

    def __init__(self, validate_certs: bool = True, ca_path: t.Optional[str] = None, names: t.Sequence[str] = ()) -> None:
        self._context = ssl.create_default_context(cafile=ca_path)
        self._names = tuple(dict.fromkeys(names))
        if not validate_certs:
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE

    def connect(self, endpoint: urllib.parse.SplitResult, timeout: float) -> http.client.HTTPConnection:
        """Return an open connection to the host of a URL. Raises OSError."""
        host, port = endpoint.hostname or "", endpoint.port or (443 if endpoint.scheme == "https" else 80)
        if endpoint.scheme != "https":
            plain = http.client.HTTPConnection(host, port, timeout=timeout)
            plain.connect()
            return plain
        # Who asks by a name trusts that name and no other
        names = (*(self._names if _is_address(host) else ()), host)
        failures: dict[str, str] = {}
        for name in names:
            connection = _NamedConnection(host, port, name, timeout, self._context)
            try:
                connection.connect()
                return connection
            except ssl.SSLCertVerificationError as error:
                connection.close()
                failures[name] = error.verify_message
            except ValueError as error:  # which is no name that a certificate could have
                connection.close()
                failures[name] = str(error)
        shown = "; ".join(f"as {name}: {why.rstrip('.')}" for name, why in failures.items())
        raise OSError(f"its certificate is not trusted ({shown})")


class _NamedConnection(http.client.HTTPSConnection):
    """TLS to one host whose certificate is to be another name's."""

    def __init__(self, host: str, port: t.Optional[int], name: str, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls, self._name = context, name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Client:
    """The gateways of one zone. Any of them will do; safe to use from threads (each keeps a connection of its own).

    endpoints: such as "http://10.77.0.11:8080". names: those of Trust.
    """

    def __init__(
        self, endpoints: t.Sequence[str], validate_certs: bool = True, ca_path: t.Optional[str] = None, timeout: float = 30, names: t.Sequence[str] = ()
    ) -> None:
        self._endpoints = [urllib.parse.urlsplit(endpoint) for endpoint in endpoints]
        self._timeout = timeout
        self._trust = Trust(validate_certs, ca_path, names)
        self._local = threading.local()

    def wait(self, seconds: float) -> None:
        """Wait until every gateway answers a request of nobody's. Raises Unreachable, naming those that don't."""
        end = time.monotonic() + seconds
        silent = {endpoint.geturl(): "" for endpoint in self._endpoints}
        while True:
            for endpoint in self._endpoints:
                url = endpoint.geturl()
                if url not in silent:
                    continue
                try:
                    status = self._status(endpoint, endpoint.path or "/")
                    if status < 500:
                        del silent[url]
                    else:
                        silent[url] = f"HTTP status {status}"
                except (OSError, http.client.HTTPException) as error:
                    silent[url] = str(error) or type(error).__name__
            if not silent:
                return
            if time.monotonic() > end:
                raise Unreachable(f"object gateways do not answer within {seconds} s: " + "; ".join(f"{url}: {why}" for url, why in silent.items()))
            time.sleep(_PAUSE)

    def _status(self, endpoint: urllib.parse.SplitResult, path: str) -> int:
        # No proxy stands between a gateway and the host that asks it
        connection = self._trust.connect(endpoint, self._timeout)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def status_without_key(self, path: str) -> int:
        """Return the HTTP status of an unsigned read at the first gateway. path: not yet encoded. Raises Unreachable."""
        endpoint = self._endpoints[0]
        try:
            return self._status(endpoint, quote(path, safe="/-_.~"))
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the object gateway at {endpoint.geturl()} broke off an unsigned read: {error}") from error

    def _connect(self) -> tuple[http.client.HTTPConnection, str]:
        """Return an open connection and the host header that belongs to it. Raises Unreachable."""
        if getattr(self._local, "connection", None) is None:
            failures = []
            for endpoint in self._endpoints:
                try:
                    connection = self._trust.connect(endpoint, self._timeout)
                except (OSError, socket.timeout) as error:
                    failures.append(f"{endpoint.geturl()}: {error}")
                    continue
                self._local.connection, self._local.host = connection, endpoint.netloc
                break
            else:
                raise Unreachable("no object gateway answers: " + "; ".join(failures or ["no endpoint was given"]))
        return self._local.connection, self._local.host

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
            connection, host = self._connect()
            signed = sign(credentials, method, host, encoded, query, body, datetime.datetime.now(datetime.timezone.utc), headers, sign_body=sign_body)
            try:
                connection.request(
                    method, encoded + ("?" + canonical_query(query) if query else ""), body=body, headers={**signed, "Content-Length": str(len(body))}
                )
                answer = connection.getresponse()
                data = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._local.connection = None
                if not remaining:
                    raise Unreachable(f"the object gateway at {host} broke off {what}: {error or type(error).__name__}") from error
                time.sleep(_PAUSE)
                continue
            if answer.status == 503 and remaining:
                time.sleep(_PAUSE)
                continue
            if answer.status >= 300:
                raise ApiFailed(what, answer.status, *_said(data))
            return data
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
