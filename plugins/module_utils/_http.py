# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP to servers' APIs: addresses, trust in certificates, kept connections, and why one failed. With the standard library alone, and by no proxy.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
import typing as t
from urllib.parse import quote, urlsplit

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import HIDDEN, Invalid, Unreachable

# Seconds to wait for a connection; an answer may take minutes, a connection may not.
_CONNECT_TIMEOUT = 15
# Servers close a connection that was idle (Jetty after 30 s). What changes something is never sent twice, so it does not risk an old one.
_FRESH = 10.0
_PORTS = {"http": 80, "https": 443}


class NoConnection(Unreachable):
    """No connection came about: nothing listens there (yet), or the way is barred."""


class Answer(t.NamedTuple):
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def without_user(url: str) -> str:
    """A URL as it may be shown: without what stands before an @, and without a query."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    return scheme + separator + rest.rpartition("@")[2] if separator else url.partition("?")[0]


def encode(value: str) -> str:
    """Percent-encode a value as Java's URLEncoder does, with %20 for a space; `~` is not left bare."""
    return quote(value, safe="*").replace("~", "%7E")


def hide(text: t.Any, secrets: t.Iterable[str]) -> str:
    """What a server said, without the secrets that it may repeat: plain, percent-encoded, or in the URL's kind of base64."""
    forms = {form for secret in secrets for form in (secret, encode(secret), secret.replace("+", "-").replace("/", "_")) if len(form) > 2}
    said = str(text)
    for form in sorted(forms, key=len, reverse=True):
        said = said.replace(form, HIDDEN)
    return said


@dataclasses.dataclass(frozen=True)
class Trust:
    """Which certificates are believed.

    names: those that a certificate may be for where a server is asked by its address: one that clients verify has the name by which they know the
    servers, and no address in it. fingerprints: SHA-256, 64 hexadecimal digits in lower case: certificates that have one are believed, and no others,
    whoever signed them. option, remedy: how a message names ca_path, and what it adds where a certificate is not trusted.
    """

    validate_certs: bool = True
    ca_path: t.Optional[str] = None
    names: t.Sequence[str] = ()
    fingerprints: t.Collection[str] = ()
    option: str = "ca_path:"
    remedy: str = ""

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """Raises Invalid."""
        try:
            context = ssl.create_default_context(cafile=self.ca_path)
        except OSError as error:
            raise Invalid([f"{self.option} {self.ca_path} cannot be used: {_why(error)}"]) from None
        if self.fingerprints or not self.validate_certs:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Server:
    """One HTTP server. Safe in threads: each has its own kept connection. Raises Invalid where its address or the trust is none.

    timeout: seconds to wait for an answer. shown: how messages name it. option: how they name its url.
    """

    def __init__(self, url: str, trust: t.Optional[Trust] = None, timeout: float = 30, shown: str = "", option: str = "endpoints:") -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in _PORTS or not parts.hostname or port == 0 or parts.username or parts.query or parts.fragment:
            raise Invalid([f"{option} {without_user(url)} is no address of the form http://HOST:PORT"])
        self.netloc, self.path = parts.netloc, parts.path
        self._host, self._port, self._usual = parts.hostname, port or _PORTS[parts.scheme], _PORTS[parts.scheme]
        self._trust, self._timeout, self._shown = trust or Trust(), timeout, shown or url
        self._tls = self._trust.context if parts.scheme == "https" else None
        self._local = threading.local()

    def __str__(self) -> str:
        return self._shown

    def open(self) -> http.client.HTTPConnection:
        """This thread's connection, which is opened where there is none. Raises Unreachable."""
        connection: t.Optional[http.client.HTTPConnection] = getattr(self._local, "connection", None)
        if connection is None or connection.sock is None:
            connection = self._local.connection = self._connect()
            self._local.used = time.monotonic()
        return connection

    def close(self) -> None:
        """Close this thread's connection; the next request opens another."""
        connection, self._local.connection = getattr(self._local, "connection", None), None
        if connection is not None:
            connection.close()

    def request(
        self, what: str, method: str, path: str, body: t.Optional[bytes] = None, headers: t.Optional[t.Mapping[str, str]] = None, safe: bool = False
    ) -> Answer:
        """Send a request and return its answer, whatever its status. Raises Unreachable.

        what: its name in messages. safe: it may be sent twice, and is where the server had closed the kept connection meanwhile.
        """
        while True:
            kept = getattr(self._local, "connection", None)
            if kept is not None and not safe and time.monotonic() - self._local.used > _FRESH:
                self.close()
            connection = self.open()
            try:
                connection.request(method, path, body, dict(headers or {}))
                response = connection.getresponse()
                answer = Answer(response.status, response.headers, response.read())
                self._local.used = time.monotonic()
                return answer
            except (OSError, http.client.HTTPException) as error:
                self.close()
                late = isinstance(error, (socket.timeout, TimeoutError))
                if connection is kept and safe and not late:
                    continue
                how = f"gave no answer to {what} within {self._timeout:g} s" if late else f"broke off when asked for {what}: {_why(error)}"
                raise Unreachable(f"{self} {how}{'' if safe else '; whether it was done is not known, the next run will see'}") from None

    def _connect(self) -> http.client.HTTPConnection:
        refusals = []
        names: t.Iterable[str] = (self._host,)
        with contextlib.suppress(ValueError):  # who asks by a name trusts that name and no other
            ipaddress.ip_address(self._host)
            names = dict.fromkeys((*self._trust.names, self._host))
        for name in names:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=min(_CONNECT_TIMEOUT, self._timeout))
            connection.default_port = self._usual
            connection.auto_open = 0  # a closed one is not opened again behind our back, with the wrong timeout
            try:
                connection.connect()
                if self._tls:  # by hand, for a name that need not be the host's
                    connection.sock = encrypted = self._tls.wrap_socket(connection.sock, server_hostname=name)
                    found = hashlib.sha256(encrypted.getpeercert(True) or b"").hexdigest()
                    if self._trust.fingerprints and found not in self._trust.fingerprints:
                        connection.close()
                        raise Unreachable(f"{self} is refused: the fingerprint of its certificate is {found}, which is none of fingerprints")
                connection.sock.settimeout(self._timeout)
                return connection
            except ssl.SSLCertVerificationError as error:
                refusals.append(f"as {name}: {error.verify_message.rstrip('.')}")
            except ssl.SSLError as error:
                raise Unreachable(f"{self} does not speak TLS as it should: {error.reason or error}") from None
            except OSError as error:
                raise NoConnection(f"{self} cannot be reached: {_why(error)}") from None
            except ValueError as error:  # which is no name that a certificate could have
                refusals.append(f"as {name}: {error}")
        raise Unreachable(f"{self} is refused: its certificate is not trusted ({'; '.join(refusals)}){self._trust.remedy}")


def _why(error: Exception) -> str:
    """Why it failed. What does not speak HTTP is not repeated."""
    return (getattr(error, "strerror", None) or str(error) if isinstance(error, OSError) else "") or type(error).__name__
