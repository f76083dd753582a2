# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XenAPI, as pools of XenServer and XCP-ng speak it: XML-RPC over HTTPS, with nothing but Python's own library.

Its integers travel as strings, its references are opaque, and each answer says itself whether it is one.
The password and the session are revealed on the wire only.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import re
import ssl
import types
import typing as t
import xml.parsers.expat
import xmlrpc.client

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import HIDDEN, Invalid, Secret, Unreachable

# What a module must say to reach a pool.
CONNECTION_SPEC: dict[str, t.Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "master": {"type": "str", "required": True},
        "user": {"type": "str", "default": "root"},
        "password": {"type": "str", "required": True, "no_log": True},
        "validate_certs": {"type": "bool", "default": True},
        "ca_path": {"type": "path"},
        "fingerprints": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 600},
    },
}

# Seconds to wait for a connection; a call may take minutes (SR.create formats), a connection may not.
_CONNECT_TIMEOUT = 15
_NULL = "OpaqueRef:NULL"


class Failure(Exception):
    """The pool refused a call.

    call: such as SR.create. code: XenAPI's word for it, HOST_OFFLINE. params: what it said of it, references among them.
    """

    def __init__(self, call: str, code: str, params: t.Sequence[str] = ()) -> None:
        self.call, self.code, self.params = call, code, list(params)
        # A backend's failure is said in its second parameter, between empty ones.
        said = ", ".join(param for param in self.params if param)
        super().__init__(f"{call}: {code}" + (f": {said}" if said else ""))


def is_null(reference: t.Any) -> bool:
    """Whether a reference points to nothing."""
    return reference in (None, "", _NULL)


class Session:
    """A session with the pool's master, whichever member was named. Use it in a `with`.

    Each call has a connection of its own, and none is ever repeated by itself: SR.create sent twice makes two.
    """

    def __init__(
        self,
        master: str,
        user: str,
        password: t.Union[str, Secret],
        validate_certs: bool = True,
        ca_path: t.Optional[str] = None,
        fingerprints: t.Sequence[str] = (),
        timeout: float = 600,
    ) -> None:
        self.address, self._port = _address(master)
        self.user = user
        self._password = password if isinstance(password, Secret) else Secret(password)
        self._timeout = timeout
        self._fingerprints = frozenset(_fingerprint(value) for value in fingerprints)
        self._context = _tls(ca_path, validate_certs and not self._fingerprints)
        self._session: t.Optional[Secret] = None

    @property
    def where(self) -> str:
        """The pool's master as a person writes it."""
        return self.address if self._port == 443 else f"{self.address}:{self._port}"

    def __enter__(self) -> Session:
        self.login()
        return self

    def __exit__(self, kind: t.Optional[type[BaseException]], error: t.Optional[BaseException], trace: t.Optional[types.TracebackType]) -> None:
        self.logout()

    def login(self) -> None:
        """Begin a session with the master. A member that isn't it names it. Raises Unreachable."""
        asked: list[str] = []
        while True:
            asked.append(self.address)
            try:
                token = self._exchange("session.login_with_password", self.user, self._password.reveal(), "1.0", "cephstack.cloud")
            except Failure as failure:
                if failure.code == "HOST_IS_SLAVE" and failure.params and failure.params[0] not in asked:
                    self.address = failure.params[0]
                    continue
                if failure.code == "SESSION_AUTHENTICATION_FAILED":
                    raise Unreachable(f"{self.where} does not know the user {self.user} with this password (SESSION_AUTHENTICATION_FAILED)") from None
                if failure.code == "HOST_IS_SLAVE":
                    raise Unreachable(f"no master was found: {' names '.join([*asked, str(failure.params[0] if failure.params else 'nobody')])}") from None
                raise Unreachable(f"{self.where} as {self.user}: {failure}") from None
            self._session = Secret(token)
            return

    def logout(self) -> None:
        """End the session; one that is gone already has ended."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Failure, Unreachable):
                self._exchange("session.logout", session.reveal())

    def call(self, name: str, *args: t.Any) -> t.Any:
        """Call SR.create and the like and return its value. Raises Failure, or Unreachable where there is no answer."""
        if self._session is None:
            raise Unreachable(f"there is no session with {self.where}")
        try:
            return self._exchange(name, self._session.reveal(), *args)
        except Failure as failure:
            if failure.code in ("SESSION_INVALID", "HOST_IS_SLAVE"):
                raise Unreachable(f"{self.where} ended the session at {name} ({failure.code}): is another host the master now?") from None
            raise

    def records(self, kind: str) -> dict[str, dict[str, t.Any]]:
        """Return all records of a class by their references."""
        return dict(self.call(f"{kind}.get_all_records"))

    # -- the wire

    def _exchange(self, name: str, *args: t.Any) -> t.Any:
        transport = _Transport(self._context, self._timeout, self._fingerprints, self.where)
        host = f"[{self.address}]" if ":" in self.address else self.address
        proxy = xmlrpc.client.ServerProxy(f"https://{host}:{self._port}/", transport=transport)
        try:
            answer = getattr(proxy, name)(*args)
        except xmlrpc.client.ProtocolError as error:
            raise Unreachable(f"{self.where} answers {name} with HTTP status {error.errcode}: is it a host of XenServer or XCP-ng?") from None
        except (xmlrpc.client.Fault, xmlrpc.client.ResponseError, xml.parsers.expat.ExpatError) as error:
            raise Unreachable(f"{self.where} does not answer {name} as XenAPI does ({self._clean(error)}): is it a host of XenServer or XCP-ng?") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                f"{self.where}: its certificate is not trusted ({error.verify_message}): name the authority that signed it (ca_path), "
                f"or the SHA-256 fingerprint of the certificate that you trust (fingerprints)"
            ) from None
        except TimeoutError:
            raise Unreachable(
                f"{self.where}: no answer to {name} within {self._timeout:g} s; whether it was done is not known, the next run will see"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.where} cannot be reached for {name}: {self._clean(getattr(error, 'strerror', None) or error)}") from None
        finally:
            transport.close()
        if not isinstance(answer, dict) or answer.get("Status") not in ("Success", "Failure"):
            raise Unreachable(f"{self.where} does not answer {name} as XenAPI does: is it a host of XenServer or XCP-ng?")
        if answer["Status"] == "Failure":
            code, *params = [self._clean(part) for part in answer.get("ErrorDescription") or ["UNKNOWN"]]
            raise Failure(name, code, params)
        return answer.get("Value")

    def _clean(self, text: t.Any) -> str:
        """What was said, without what is secret in it."""
        text = str(text)
        for secret in (self._password, self._session):
            if secret is not None and secret.reveal():
                text = text.replace(secret.reveal(), HIDDEN)
        return text


class _Transport(xmlrpc.client.SafeTransport):
    """One call, one connection, never sent again."""

    def __init__(self, context: ssl.SSLContext, timeout: float, fingerprints: t.FrozenSet[str], where: str) -> None:
        super().__init__(context=context)
        self._timeout = timeout
        self._fingerprints = fingerprints
        self._where = where

    def request(self, host: t.Any, handler: str, request_body: t.Any, verbose: bool = False) -> t.Any:
        return self.single_request(host, handler, request_body, verbose)  # the parent's would try twice

    def make_connection(self, host: t.Any) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(host, timeout=_CONNECT_TIMEOUT, context=self.context)
        self._connection = host, connection
        connection.connect()
        if self._fingerprints:
            found = hashlib.sha256(connection.sock.getpeercert(True)).hexdigest()
            if not any(hmac.compare_digest(found, known) for known in self._fingerprints):
                raise Unreachable(f"{self._where}: the fingerprint of its certificate is {found}, which is none of fingerprints")
        connection.sock.settimeout(self._timeout)
        return connection


def connect(options: t.Mapping[str, t.Any]) -> Session:
    """Return the session for a module's option `connection`, not yet begun. Raises Invalid."""
    return Session(**{key: options[key] for key in CONNECTION_SPEC["options"] if options.get(key) is not None})


def _address(master: str) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:]+)\]|([^\s/:\[\]]+))(?::(\d+))?", master)
    if found:
        return found[1] or found[2], int(found[3] or 443)
    if re.fullmatch(r"[0-9A-Fa-f:]+", master):
        return master, 443
    raise Invalid([f"connection.master '{master}' is no address: write a name or an address of a host of the pool, such as 10.0.0.21"])


def _fingerprint(value: str) -> str:
    plain = re.sub(r"^sha-?256[:=]|[\s:]", "", value.strip(), flags=re.IGNORECASE).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise Invalid([f"connection.fingerprints: '{value}' is no SHA-256 fingerprint, which has 64 hexadecimal digits"])
    return plain


def _tls(ca_path: t.Optional[str], verify: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_path)
    except (OSError, ssl.SSLError) as error:
        raise Invalid([f"connection.ca_path {ca_path}: cannot be read as certificates: {error}"]) from None
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
