# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudStack's API: signed calls over kept connections, lists whole, jobs awaited.

What is secret is revealed on the wire only: not in the address, not in an exception, not in what is read.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.cookies
import json
import time
import typing as t
from urllib.parse import urlencode

from ansible_collections.cephstack.cloud.plugins.module_utils._http import Server, Trust, encode, hide, without_user
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import boolean, filepath, integer, record, string

# What a module must say to reach a management server (doc fragment cephstack.cloud.cloudstack).
CONNECTION_SPEC: dict[str, t.Any] = record(
    "How to reach CloudStack's API, and as whom.\nBy default as M(cephstack.cloud.cloudstack_keys) has learned it in this run. The roles see to that.",
    {
        "url": string("The address of the API, such as V(http://mgmt1:8080/client/api).", required=True),
        "api_key": string("The API key of the user, a root admin.", no_log=True),
        "api_secret": string("The secret key that belongs to it. It signs the calls and is never sent.", no_log=True),
        "validate_certs": boolean("Whether the server's certificate must be trusted, where the address is C(https).", default=True),
        "ca_path": filepath("A file on the host that runs the module, with the certificates of the authorities to be trusted. By default the host's own."),
        "timeout": integer("How many seconds one call may take. Adding a host takes minutes.", default=900),
        "job_timeout": integer("How many seconds a job of the server may take.", default=1800),
    },
    default={},
)

# Seconds for which a signed call is valid. The server refuses more than 15 minutes where it enforces times.
_VALID = 600
# Seconds for which the server may be away while a job runs.
_AWAY = 60.0
_Text = t.Union[str, Secret, None]
_READS = ("list", "get", "query", "find")
# What the server calls secrets in its answers (listBuckets gives keys in clear).
_SECRET_KEYS = (
    "accesskey", "apikey", "encryptedpassword", "password", "presharedkey", "privatekey", "secretcode", "secretkey", "sessionkey", "usersecretkey",
    "zonetoken",
)  # fmt: skip
_NAMING = ("name", "clustername", "username", "url", "displaytext", "traffictype", "id")
# More commands than this are asked for by one listApis without a name (about a second) instead of one by one.
_ASKED_SINGLY = 5


class ApiError(Exception):
    """The server refused a call, or a job of it failed. code: CloudStack's, mostly the HTTP status (431 a parameter, 530 internal …)."""

    def __init__(self, command: str, code: int, text: str, name: str = "") -> None:
        self.command, self.code, self.text, self.name = command, code, text, name
        super().__init__(f"{command}{' ' + name if name else ''}: {code}: {text}")


class AccessDenied(ApiError, Unreachable):
    """The server answers, but not to these keys (or has no such command: it does not tell the difference)."""


@contextlib.contextmanager
def reading(what: str) -> t.Iterator[None]:
    """While something is read an error of the server is never an absence: it is raised as Unreachable."""
    try:
        yield
    except Unreachable:
        raise
    except ApiError as error:
        raise Unreachable(f"{what}: {error}") from error


def sign(params: t.Mapping[str, str], secret: str) -> str:
    """The signature of a call: HMAC-SHA1 over its sorted parameters in lower case."""
    text = "&".join(f"{name}={encode(value)}" for name, value in sorted(params.items())).lower()
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


def pairs(parameter: str, values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Parameters of the form details[0].key=a, details[0].value=1 (image stores, object stores)."""
    parts = [{f"{parameter}[{number}].key": key, f"{parameter}[{number}].value": value} for number, (key, value) in enumerate(values.items())]
    return {name: value for part in parts for name, value in part.items()}


def mapped(parameter: str, values: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Parameters of the form details[0].a=1 (storage pools, templates)."""
    return {f"{parameter}[0].{key}": value for key, value in values.items()}


def _guarded(key: str, value: t.Any) -> t.Any:
    """A value of an answer, with its secrets as Secret."""
    if isinstance(value, dict):
        return {inner: _guarded(inner, item) for inner, item in value.items()}
    if isinstance(value, list):
        return [_guarded("", item) for item in value]
    return Secret(value) if key.lower() in _SECRET_KEYS and isinstance(value, str) and value else value


def connect(options: t.Mapping[str, t.Any]) -> Client:
    """Return the client for a module's option `connection`. Raises Invalid."""
    return Client(**{key: options[key] for key in CONNECTION_SPEC["options"] if options.get(key) is not None})


class Client:
    """One management server, by the options of CONNECTION_SPEC. Safe in threads: each has its own kept connection."""

    def __init__(
        self,
        url: str,
        api_key: _Text = None,
        api_secret: _Text = None,
        validate_certs: bool = True,
        ca_path: t.Optional[str] = None,
        timeout: float = 900,
        job_timeout: float = 1800,
    ) -> None:
        self.url, self.job_timeout = url, job_timeout
        trust = Trust(validate_certs, ca_path, option="connection.ca_path:", remedy=": name the authority that signed it (ca_path)")
        self._server = Server(url, trust, timeout, option="connection.url:")
        self._path = self._server.path if self._server.path.strip("/") else "/client/api"
        self._key, self._secret = (None if value is None else Secret(_reveal(value)) for value in (api_key, api_secret))
        self._cookies: dict[str, str] = {}
        self._session: t.Optional[Secret] = None
        self._accepted = self._all_apis = False
        self._apis: dict[str, t.Optional[t.FrozenSet[str]]] = {}
        self._called: list[str] = []

    @property
    def calls(self) -> int:
        """How many calls were made."""
        return len(self._called)

    def call(self, command: str, **params: t.Any) -> dict[str, t.Any]:
        """Call and return what is inside the answer's one key. A parameter that is None is left out. Raises ApiError, Unreachable."""
        status, body = self._exchange(command, {name: wire(value) for name, value in params.items() if value is not None})
        if status == 401:
            raise AccessDenied(command, 401, self._denied(body), _named(params))
        if status >= 400 or ("errorcode" in body and "errortext" in body):
            raise _failed(command, params, int(body.get("errorcode") or status), body.get("errortext") or f"HTTP status {status}")
        self._accepted = True
        if _refused(body):
            raise _failed(command, params, status, body.get("displaytext") or "the server says that it did not succeed")
        return {key: _guarded(key, value) for key, value in body.items()}

    def rows(self, command: str, **params: t.Any) -> list[dict[str, t.Any]]:
        """Call a list command and return all that it lists, over all pages; [] where there is nothing."""
        body = self.call(command, **params)
        found = more = _list(body)
        page, size = 1, len(found)  # no size is asked for: the first answer is a page of the server's own size, whatever it was set to
        while more and _distinct(found) < int(body.get("count") or 0):
            page += 1
            more = _list(self.call(command, page=page, pagesize=size, **params))
            found = found + more
        return found

    def job(self, command: str, **params: t.Any) -> dict[str, t.Any]:
        """Call an asynchronous command and return its job's result. Raises ApiError where the job fails or takes too long."""
        started = self.call(command, **params)
        if "jobid" not in started:
            return started
        jobid, began, away = started["jobid"], time.monotonic(), 0.0
        while True:
            # After a quarter of its age: soon what is quick, every five seconds what is slow.
            time.sleep(min(5.0, max(0.1, (time.monotonic() - began) / 4)))
            try:
                state = self.call("queryAsyncJobResult", jobid=jobid)
            except ApiError as error:
                raise _failed(command, params, error.code, error.text)
            except Unreachable:
                away = away or time.monotonic()
                if time.monotonic() - away >= _AWAY:
                    raise
                continue
            away = 0.0
            result: dict[str, t.Any] = state["jobresult"] if isinstance(state.get("jobresult"), dict) else {}
            if state.get("jobstatus") == 2:
                code = int(result.get("errorcode") or state.get("jobresultcode") or 530)
                raise _failed(command, params, code, result.get("errortext") or "the job failed without saying why")
            if state.get("jobstatus") == 1 and _refused(result):
                raise _failed(command, params, 530, result.get("displaytext") or "the job ended without success")
            if state.get("jobstatus") == 1:
                return result
            if time.monotonic() - began > self.job_timeout:
                late = f"still running after {self.job_timeout:g} s (job {jobid}); it goes on, the next run will see"
                raise _failed(command, params, 504, late)

    def offers(self, command: str, parameter: t.Optional[str] = None) -> bool:
        """Whether this server has a command for this user, and a parameter of it. Asked of the server, once."""
        if command not in self._apis and not self._all_apis:
            many = len(self._apis) >= _ASKED_SINGLY
            rows: list[dict[str, t.Any]] = []
            try:
                rows = self.rows("listApis", **({} if many else {"name": command}))
            except ApiError as error:  # by some codes it says that it has no such command
                if many or error.code not in (430, 431, 530):
                    raise
            self._all_apis = many
            self._apis.update({command: None, **{row["name"]: frozenset(param["name"] for param in row.get("params", [])) for row in rows}})
        has = self._apis.get(command)
        return has is not None and (parameter is None or parameter in has)

    def login(self, user: str, password: _Text, domain: str = "/") -> dict[str, t.Any]:
        """Begin a session, in which all further calls are made; returns what is said of it (userid …). Raises ApiError (531: wrong user or password)."""
        self._session, self._cookies = None, {}
        body = self.call("login", username=user, password=Secret(_reveal(password)), domain=domain)
        if str(body.get("is2faenabled", "")).lower() == "true" and str(body.get("is2faverified", "")).lower() != "true":
            raise ApiError("login", 511, "this user has two-factor authentication, which a program cannot do; use one without it", user)
        self._session = body["sessionkey"]
        return body

    def logout(self) -> None:
        if self._session is not None:
            try:
                self.call("logout")
            finally:
                self._session, self._cookies = None, {}

    def _exchange(self, command: str, sent: dict[str, str]) -> tuple[int, dict[str, t.Any]]:
        sent = {**sent, "command": command, "response": "json"}
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Accept": "application/json"}
        if self._session is not None or command == "login":
            sent.update({"sessionkey": self._session.reveal()} if self._session is not None else {})
            headers.update({"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())} if self._cookies else {})
        elif self._key is not None and self._secret is not None:
            sent.update(apikey=self._key.reveal(), signatureversion="3", expires=time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(time.time() + _VALID)))
            sent["signature"] = sign(sent, self._secret.reveal())
        self._called.append(command)
        status, answered, raw = self._server.request(command, "POST", self._path, urlencode(sent).encode(), headers, safe=command.startswith(_READS))
        for value in answered.get_all("Set-Cookie") or () if command == "login" else ():
            self._cookies.update((name, morsel.value) for name, morsel in http.cookies.SimpleCookie(value).items())
        try:
            (body,) = json.loads(raw.decode("utf-8", "replace")).values()
            if not isinstance(body, dict):
                raise ValueError
        except (ValueError, AttributeError):
            where = f" (it points to {without_user(answered['Location'])})" if answered.get("Location") else ""
            raise Unreachable(f"{self.url} answers with HTTP status {status}, but not as CloudStack's API does{where}: is the address right, is it started?")
        return status, body

    def close(self) -> None:
        """Close this thread's connection; the next call opens another."""
        self._server.close()

    def _denied(self, body: t.Mapping[str, t.Any]) -> str:
        if self._session is not None:
            why = "this user may not do it, or the server has no such command"
        elif self._key is None or self._secret is None:
            why = "api_key and api_secret are needed"
        elif self._accepted:
            why = "the keys are right: the server has no such command, or this user may not use it"
        else:
            why = f"wrong api_key or api_secret, a disabled user, or a clock that is more than {_VALID // 60} minutes wrong"
        return f"{body.get('errortext') or 'not authorised'} ({why})"


def _refused(body: t.Mapping[str, t.Any]) -> bool:
    return str(body.get("success", "true")).lower() == "false"


def _failed(command: str, params: t.Mapping[str, t.Any], code: int, said: t.Any) -> ApiError:
    """The error of a call, without the secrets of its parameters that the server may repeat."""
    secrets: list[str] = []
    for name, value in params.items():
        if isinstance(value, Secret) or name.lower().split(".")[-1] in _SECRET_KEYS:
            plain = _reveal(value)
            secrets += plain, plain.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return ApiError(command, code, hide(said, secrets), _named(params))


def _named(params: t.Mapping[str, t.Any]) -> str:
    """The object that a call was about, the first that tells it to a person."""
    value = next((params[key] for key in _NAMING if isinstance(params.get(key), str) and params[key]), "")
    return without_user(value) if "://" in value else value


def _reveal(value: t.Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def wire(value: t.Any) -> str:
    """A value as the server takes it: true or false, a list joined by commas, a Secret revealed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(wire(item) for item in value)
    return _reveal(value)


def _list(body: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    return next((value for value in body.values() if isinstance(value, list)), [])


def _distinct(rows: t.Sequence[t.Mapping[str, t.Any]]) -> int:
    """How many objects rows are of: a template has one in each of its zones, and is counted once."""
    return len({row["id"] for row in rows}) if all("id" in row for row in rows) else len(rows)
