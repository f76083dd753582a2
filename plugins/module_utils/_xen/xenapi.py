# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XenAPI, as pools of XenServer and XCP-ng speak it: XML-RPC over HTTPS. The password and the session are revealed on the wire only.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import re
import typing as t
import xml.parsers.expat
import xmlrpc.client

from ansible_collections.cephstack.cloud.plugins.module_utils._http import Server, Trust, hide
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, filepath, integer, record, string, strings

# What a module must say to reach a pool.
CONNECTION_SPEC: dict[str, t.Any] = record(
    "How to reach the pool, and as whom.",
    {
        "master": string("The name or address of the pool's master, with a port if it is not 443. Any other host of the pool names the master.", required=True),
        "user": string("Who to be. It needs the role pool-operator.", default="root"),
        "password": string("Its password. Keep it in a vault. It is sent to the pool only.", required=True, no_log=True),
        "validate_certs": boolean("Whether the master's certificate must be trusted.", default=True),
        "ca_path": filepath("A file on the host that runs the module, with the certificates to be trusted. By default the host's own."),
        "fingerprints": strings(
            "SHA-256 fingerprints of the certificates that are trusted, as C(openssl x509 -fingerprint -sha256) prints them. They take the place of all "
            "other checks.\n"
            "New hosts have a certificate that they signed themselves, so this is the way for them. Give those of all hosts that may become master.",
            default=[],
        ),
        "timeout": integer("How many seconds one call may take.", default=600),
    },
    required=True,
)


class Failure(Exception):
    """The pool refused a call. call: such as SR.create. code: XenAPI's word for it, HOST_OFFLINE. params: what it said of it, references among them."""

    def __init__(self, call: str, code: str, params: t.Sequence[str] = ()) -> None:
        self.call, self.code, self.params = call, code, list(params)
        # A backend's failure is said in its second parameter, between empty ones.
        said = ", ".join(filter(None, self.params))
        super().__init__(f"{call}: {code}" + (f": {said}" if said else ""))


class Session:
    """A session with the pool's master, whichever member was named. Use it in a `with`.

    Each call has a connection of its own, and none is ever repeated by itself: SR.create sent twice makes two.
    address, where: of the master; where as a person writes it.
    """

    def __init__(
        self, master: str, user: str, password: str, validate_certs: bool = True, ca_path: str = "", fingerprints: t.Sequence[str] = (), timeout: float = 600
    ) -> None:
        remedy = ": name the authority that signed it (ca_path), or the SHA-256 fingerprint of the certificate that you trust (fingerprints)"
        self._trust = Trust(validate_certs, ca_path or None, (), [_fingerprint(value) for value in fingerprints], "connection.ca_path", remedy)
        self._timeout, self.user, self._password = timeout, user, Secret(password)
        self._session: t.Optional[Secret] = None
        self._turn_to(*_address(master))

    def _turn_to(self, address: str, port: int) -> None:
        self.address, self._port = address, port
        self.where = address if port == 443 else f"{address}:{port}"
        self._server = Server(f"https://{f'[{address}]' if ':' in address else address}:{port}", self._trust, self._timeout, self.where)

    def __enter__(self) -> Session:
        self.login()
        return self

    def __exit__(self, *unused: object) -> None:
        """End the session; one that is gone already has ended."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Failure, Unreachable):
                self._exchange("session.logout", session.reveal())

    def login(self) -> None:
        """Begin a session with the master. A member that isn't it names it. Raises Unreachable."""
        asked: list[str] = []
        while self._session is None:
            asked.append(self.address)
            try:
                self._session = Secret(self._exchange("session.login_with_password", self.user, self._password.reveal(), "1.0", "cephstack.cloud"))
            except Failure as failure:
                named = failure.params[0] if failure.params else "nobody"
                if failure.code == "SESSION_AUTHENTICATION_FAILED":
                    raise Unreachable(f"{self.where} does not know the user {self.user} with this password (SESSION_AUTHENTICATION_FAILED)") from None
                if failure.code != "HOST_IS_SLAVE":
                    raise Unreachable(f"{self.where} as {self.user}: {failure}") from None
                if named in (*asked, "nobody"):
                    raise Unreachable(f"no master was found: {' names '.join([*asked, named])}") from None
                self._turn_to(named, self._port)

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
        return dict(self.call(f"{kind}.get_all_records"))

    def _exchange(self, name: str, *args: t.Any) -> t.Any:
        body = xmlrpc.client.dumps(args, name).encode("utf-8", "xmlcharrefreplace")
        try:
            status, _headers, said = self._server.request(name, "POST", "/", body, {"Content-Type": "text/xml"})
        finally:
            self._server.close()
        if status != 200:
            raise Unreachable(f"{self.where} answers {name} with HTTP status {status}: is it a host of XenServer or XCP-ng?")
        secrets = [secret.reveal() for secret in (self._password, self._session) if secret is not None]
        answer: t.Any = None
        why = ""
        try:
            (answer, *_more), _name = xmlrpc.client.loads(said)
        except (xmlrpc.client.Error, xml.parsers.expat.ExpatError, ValueError) as error:
            why = f" ({hide(error, secrets)})"
        if not isinstance(answer, dict) or answer.get("Status") not in ("Success", "Failure"):
            raise Unreachable(f"{self.where} does not answer {name} as XenAPI does{why}: is it a host of XenServer or XCP-ng?")
        if answer["Status"] == "Failure":
            code, *params = [hide(part, secrets) for part in answer.get("ErrorDescription") or ["UNKNOWN"]]
            raise Failure(name, code, params)
        return answer.get("Value")


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
