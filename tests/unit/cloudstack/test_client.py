# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client: what it signs, what it makes of answers that a real server gave, and what it says when there is none.

fixtures/exchanges.json: requests and answers recorded from CloudStack 4.22. The server here only speaks HTTP: it knows nothing of CloudStack.
"""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import threading
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._cloudstack import client as api
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Secret, Unreachable

RECORDED = json.loads((pathlib.Path(__file__).parent / "fixtures" / "exchanges.json").read_text(encoding="utf-8"))
KEYS = {"api_key": "KEY-one", "api_secret": "SECRET-two"}

Answer = t.Tuple[int, t.Any]


def recorded(name: str) -> Answer:
    return RECORDED[name]["status"], RECORDED[name]["body"]


class Wire:
    """An HTTP server that gives prepared answers, and keeps what it was sent. An answer of None closes the connection without a word."""

    def __init__(self, answer: t.Callable[[dict[str, str]], t.Any], tls: t.Optional[ssl.SSLContext] = None) -> None:
        self.requests: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections = 0
        self.cookies: list[t.Optional[str]] = []
        wire = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10
            disable_nagle_algorithm = True

            def setup(self) -> None:
                wire.connections += 1
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                sent = dict(parse_qsl(body, keep_blank_values=True))
                wire.requests.append(sent)
                wire.paths.append(self.path)
                wire.cookies.append(self.headers.get("Cookie"))
                made = answer(sent)
                if made is None:
                    self.close_connection = True
                    return
                status, content, *headers = made
                data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers[0] if headers else ():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *unused: t.Any) -> None: ...

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *unused: t.Any) -> None: ...

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}/client/api"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def client(self, **options: t.Any) -> api.Client:
        return api.Client(self.url, **{**KEYS, **options})


@pytest.fixture
def wire() -> t.Iterator[t.Callable[..., Wire]]:
    made = []

    def make(answer: t.Any, tls: t.Optional[ssl.SSLContext] = None) -> Wire:
        steps = answer if callable(answer) else lambda sent: answer
        made.append(Wire(steps, tls))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


# -- signing


def test_the_signature_is_that_of_the_project_s_documentation() -> None:
    params = {
        "apikey": "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg",
        "command": "listUsers",
        "response": "json",
    }
    secret = "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ"
    assert api.sign(params, secret) == "TTpdDq/7j/J58XCRHomKoQXEQds="


def test_values_are_encoded_as_java_does() -> None:
    """URLEncoder leaves letters, digits and . - * _ alone; Python leaves ~ as well, which the server answers with 401."""
    assert api.encode("aZ09.-*_") == "aZ09.-*_"
    assert api.encode("a~b c/d+é") == "a%7Eb%20c%2Fd%2B%C3%A9"


def test_a_call_is_posted_signed_and_ends() -> None:
    sent = {"command": "x", "name": "a~b", "details[0].key": "k", "expires": "2026-01-01T00:00:00+0000", "signatureversion": "3"}
    # Names are sorted as they are, values encoded, and all of it lowered.
    text = "command=x&details[0].key=k&expires=2026-01-01t00%3a00%3a00%2b0000&name=a%7eb&signatureversion=3"
    import base64
    import hashlib
    import hmac

    assert api.sign(sent, "s") == base64.b64encode(hmac.new(b"s", text.encode(), hashlib.sha1).digest()).decode()


def test_what_is_sent(wire: t.Callable[..., Wire]) -> None:
    server = wire((200, {"xresponse": {}}))
    server.client().call("x", name="a~b ü", flag=True, many=["a", "b"], nothing=None, number=3, key=Secret("hid den"), **api.pairs("details", {"a": 1}))
    (sent,) = server.requests
    signature = sent.pop("signature")
    assert signature == api.sign(sent, "SECRET-two")
    assert "SECRET-two" not in str(server.requests) and server.paths == ["/client/api"]
    expires = datetime.datetime.strptime(sent.pop("expires"), "%Y-%m-%dT%H:%M:%S%z")
    assert datetime.timedelta(minutes=1) < expires - datetime.datetime.now(datetime.timezone.utc) < datetime.timedelta(minutes=15)
    assert sent == {
        "command": "x", "response": "json", "apikey": "KEY-one", "signatureversion": "3", "name": "a~b ü", "flag": "true", "many": "a,b", "number": "3",
        "key": "hid den", "details[0].key": "a", "details[0].value": "1",
    }  # fmt: skip


def test_maps_have_two_forms() -> None:
    assert api.mapped("details", {"a": 1, "b": 2}) == {"details[0].a": 1, "details[0].b": 2}
    assert api.pairs("details", {"a": 1, "b": 2}) == {"details[0].key": "a", "details[0].value": 1, "details[1].key": "b", "details[1].value": 2}


# -- answers


@pytest.mark.parametrize("name", ["empty list", "cluster list", "staging stores", "providers", "disk offerings", "buckets"])
def test_lists_as_they_are_answered(wire: t.Callable[..., Wire], name: str) -> None:
    """The envelope's key and the list's key are taken as they come: `listSecondaryStagingStores` answers with neither name."""
    status, body = recorded(name)
    (content,) = body.values()
    rows = [value for value in content.values() if isinstance(value, list)]
    content["count"] = len(rows[0]) if rows else 0  # the recording was cut
    found = wire((status, body)).client().rows(RECORDED[name]["command"])
    assert [row.get("id") or row["name"] for row in found] == [row.get("id") or row["name"] for row in (rows[0] if rows else [])]


def test_secrets_that_are_read_stay_secret(wire: t.Callable[..., Wire]) -> None:
    """listBuckets gives the owner's keys in clear."""
    (row,) = wire(recorded("buckets")).client().rows("listBuckets")
    assert row["usersecretkey"] == Secret("EXAMPLE-BUCKET-SECRET")
    assert "EXAMPLE-BUCKET-SECRET" not in str(row) and row["name"] == "bkt-one"


def test_all_pages_are_read(wire: t.Callable[..., Wire]) -> None:
    every = [{"id": str(number)} for number in range(7)]

    def answer(sent: dict[str, str]) -> Answer:
        page, size = int(sent.get("page", 1)), int(sent.get("pagesize", 3))
        rows = every[(page - 1) * size : page * size]
        return 200, {"listxresponse": {"count": 7, **({"x": rows} if rows else {})}}

    server = wire(answer)
    assert server.client().rows("listX", listall=True) == every
    assert [(sent.get("page"), sent.get("pagesize")) for sent in server.requests] == [(None, None), ("2", "3"), ("3", "3")]


def test_a_list_that_ends_early_ends(wire: t.Callable[..., Wire]) -> None:
    def answer(sent: dict[str, str]) -> Answer:
        return 200, {"listxresponse": {"count": 9, **({"x": [{"name": "a"}]} if "page" not in sent else {})}}

    assert len(wire(answer).client().rows("listX")) == 1


def test_a_template_of_two_zones_is_counted_once(wire: t.Callable[..., Wire]) -> None:
    server = wire((200, {"listtemplatesresponse": {"count": 1, "template": [{"id": "t", "zonename": "a"}, {"id": "t", "zonename": "b"}]}}))
    client = server.client()
    assert len(client.rows("listTemplates")) == 2 and client.calls == 1


def test_an_error_says_what_was_asked_for_what(wire: t.Callable[..., Wire]) -> None:
    client = wire(recorded("setting unknown")).client()
    with pytest.raises(api.ApiError) as caught:
        client.call("updateConfiguration", name="no.such.setting", value="1")
    assert str(caught.value) == "updateConfiguration no.such.setting: 431: Config parameter with name no.such.setting doesn't exist"
    assert (caught.value.code, caught.value.name) == (431, "no.such.setting")
    assert not isinstance(caught.value, Unreachable)


def test_an_error_does_not_repeat_secrets(wire: t.Callable[..., Wire]) -> None:
    url, password = "rbd://cloudstack:AQAkey-with_signs==@10.0.0.1/pool", "pass word/1"
    server = wire((530, {"xresponse": {"errorcode": 530, "errortext": f"bad {url}: AQAkey-with_signs== {password} pass%20word%2F1"}}))
    with pytest.raises(api.ApiError) as caught:
        server.client().call("createStoragePool", name="rbd1", url=Secret(url), password=password)
    assert "AQAkey" not in str(caught.value) and "word" not in str(caught.value) and "rbd1" in str(caught.value)


def test_an_object_without_a_name_is_told_by_its_address(wire: t.Callable[..., Wire]) -> None:
    server = wire((530, {"xresponse": {"errorcode": 530, "errortext": "no"}}))
    with pytest.raises(api.ApiError, match=r"^addHost http://h1: 530: no$"):
        server.client().call("addHost", url="http://user:word@h1", password=Secret("secret"))


@pytest.mark.parametrize("body", [{"success": False, "displaytext": "not so"}, {"success": "false", "displaytext": "not so"}])
def test_an_answer_without_success_is_an_error(wire: t.Callable[..., Wire], body: dict[str, t.Any]) -> None:
    with pytest.raises(api.ApiError, match="deleteX: 200: not so"):
        wire((200, {"deletexresponse": body})).client().call("deleteX")


def test_wrong_keys(wire: t.Callable[..., Wire]) -> None:
    with pytest.raises(Unreachable, match=r"wrong api_key or api_secret"):
        wire(recorded("denied")).client().rows("listZones")
    with pytest.raises(Unreachable, match="api_key and api_secret are needed"):
        wire(recorded("denied")).client(api_key=None, api_secret=None).rows("listZones")


def test_an_unknown_command_of_right_keys(wire: t.Callable[..., Wire]) -> None:
    """The server answers both alike; that the keys are right was seen before."""
    client = wire(lambda sent: recorded("denied" if sent["command"] == "noSuch" else "empty list")).client()
    client.rows("listZones")
    with pytest.raises(api.AccessDenied, match="the keys are right"):
        client.call("noSuch")


# -- jobs


def test_a_job_is_awaited(wire: t.Callable[..., Wire]) -> None:
    steps = iter(["job pending", "job pending", "job done"])
    client = wire(lambda sent: recorded("job started" if sent["command"] != "queryAsyncJobResult" else next(steps))).client()
    result = client.job("createPhysicalNetwork", name="pn1")
    assert result["physicalnetwork"]["name"] == "pn1" and client.calls == 4


def test_a_job_that_fails(wire: t.Callable[..., Wire]) -> None:
    client = wire(lambda sent: recorded("job started" if sent["command"] != "queryAsyncJobResult" else "job failed")).client()
    with pytest.raises(api.ApiError, match=r"^deployVirtualMachine guest1: 530: Unable to orchestrate"):
        client.job("deployVirtualMachine", name="guest1")


def test_a_job_has_a_deadline(wire: t.Callable[..., Wire]) -> None:
    client = wire(lambda sent: recorded("job started" if sent["command"] != "queryAsyncJobResult" else "job pending")).client(job_timeout=0.2)
    with pytest.raises(api.ApiError, match=r"still running after 0\.2 s"):
        client.job("createPhysicalNetwork", name="pn1")


def test_jobs_are_asked_for_side_by_side(wire: t.Callable[..., Wire]) -> None:
    """Twenty jobs side by side, each asked for by its own id over the connection that began it."""
    asked: dict[str, int] = {}
    number = iter(range(1000))

    def answer(sent: dict[str, str]) -> Answer:
        if sent["command"] == "start":
            return 200, {"startresponse": {"jobid": f"job{next(number)}"}}
        job = sent["jobid"]
        asked[job] = asked.get(job, 0) + 1
        if asked[job] == 1:
            return 200, {"queryasyncjobresultresponse": {"jobstatus": 0}}
        return 200, {"queryasyncjobresultresponse": {"jobstatus": 1, "jobresult": {"thing": {"id": job}}}}

    server = wire(answer)
    client = server.client()
    for _round in range(2):
        with ThreadPoolExecutor(20) as pool:
            results = list(pool.map(lambda unused: client.job("start")["thing"]["id"], range(20)))
        assert len(set(results)) == 20
    assert len(asked) == 40 and set(asked.values()) == {2}
    assert server.connections <= 2 * 20 + 4


def test_a_server_that_is_away_for_a_moment_does_not_fail_a_job(wire: t.Callable[..., Wire]) -> None:
    steps: t.Iterator[t.Any] = iter([(503, "<html>starting</html>"), recorded("job done")])
    client = wire(lambda sent: recorded("job started") if sent["command"] != "queryAsyncJobResult" else next(steps)).client()
    assert client.job("createPhysicalNetwork", name="pn1")["physicalnetwork"]


def test_a_command_that_is_no_job_here(wire: t.Callable[..., Wire]) -> None:
    assert wire((200, {"xresponse": {"thing": {"id": "1"}}})).client().job("x") == {"thing": {"id": "1"}}


# -- what the server can do


def test_what_a_server_offers_is_asked_once(wire: t.Callable[..., Wire]) -> None:
    def answer(sent: dict[str, str]) -> Answer:
        if sent.get("name") == "noSuch":
            return 530, {"listapisresponse": {"errorcode": 530, "errortext": "Failed to find api"}}
        return 200, {"listapisresponse": {"count": 1, "api": [{"name": sent["name"], "params": [{"name": "id"}, {"name": "details"}]}]}}

    server = wire(answer)
    client = server.client()
    assert client.offers("updateX") and client.offers("updateX", "details") and not client.offers("updateX", "other")
    assert not client.offers("noSuch") and not client.offers("noSuch", "id")
    assert len(server.requests) == 2


def test_many_commands_are_asked_for_at_once(wire: t.Callable[..., Wire]) -> None:
    names = [f"c{number}" for number in range(20)]

    def answer(sent: dict[str, str]) -> Answer:
        asked = [sent["name"]] if "name" in sent else names
        return 200, {"listapisresponse": {"count": len(asked), "api": [{"name": name, "params": []} for name in asked]}}

    server = wire(answer)
    client = server.client()
    assert all(client.offers(name) for name in names) and not client.offers("noSuch")
    assert len(server.requests) == 6


# -- sessions


def test_a_session(wire: t.Callable[..., Wire]) -> None:
    """Cookie and parameter, both: the server's default wants both. What is called in a session is not signed."""

    def answer(sent: dict[str, str]) -> t.Any:
        cookies = [("Set-Cookie", "JSESSIONID=node01; Path=/client; HttpOnly"), ("Set-Cookie", "sessionkey=abc; Path=/client")]
        return (*recorded("login"), cookies) if sent["command"] == "login" else recorded("no keys yet" if sent["command"] == "getUserKeys" else "logout")

    server = wire(answer)
    client = server.client(api_key=None, api_secret=None)
    client.login("admin", Secret("password"))
    assert client.call("getUserKeys", id="u") == {"userkeys": {"apikeyaccess": True}}
    client.logout()
    key = RECORDED["login"]["body"]["loginresponse"]["sessionkey"]
    assert server.requests[0] == {"command": "login", "username": "admin", "password": "password", "domain": "/", "response": "json"}
    assert server.requests[1] == {"command": "getUserKeys", "id": "u", "response": "json", "sessionkey": key}
    assert server.cookies[1] == "JSESSIONID=node01; sessionkey=abc"


def test_a_refused_login_does_not_say_the_password(wire: t.Callable[..., Wire]) -> None:
    with pytest.raises(api.ApiError, match="Failed to authenticate user admin") as caught:
        wire(recorded("login refused")).client(api_key=None, api_secret=None).login("admin", "not-this-one")
    assert caught.value.code == 531 and "not-this-one" not in str(caught.value)


def test_a_user_with_a_second_factor(wire: t.Callable[..., Wire]) -> None:
    body = {"loginresponse": {**RECORDED["login"]["body"]["loginresponse"], "is2faenabled": "true", "is2faverified": "false"}}
    with pytest.raises(api.ApiError, match="two-factor"):
        wire((200, body)).client().login("admin", "x")


# -- transport


def test_a_connection_is_kept(wire: t.Callable[..., Wire]) -> None:
    server = wire((200, {"xresponse": {}}))
    client = server.client()
    for _number in range(5):
        client.call("listX")
    assert server.connections == 1 and client.calls == 5


def test_a_kept_connection_that_was_closed_is_opened_again_to_read(wire: t.Callable[..., Wire]) -> None:
    steps: t.Iterator[t.Any] = iter([(200, {"xresponse": {}}), None, (200, {"xresponse": {"again": 1}})])
    client = wire(lambda sent: next(steps)).client()
    client.call("listX")
    assert client.call("listX") == {"again": 1}


def test_what_changes_something_is_never_sent_twice(wire: t.Callable[..., Wire]) -> None:
    steps: t.Iterator[t.Any] = iter([(200, {"xresponse": {}}), None])
    server = wire(lambda sent: next(steps))
    client = server.client()
    client.call("listX")
    with pytest.raises(Unreachable, match="whether it was done is not known"):
        client.call("createX", name="one")
    assert [sent["command"] for sent in server.requests] == ["listX", "createX"]


def test_nobody_listens() -> None:
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
        api.Client("http://127.0.0.1:9/client/api", **KEYS).call("listZones")


def test_no_answer_in_time(wire: t.Callable[..., Wire]) -> None:
    gate = threading.Event()
    server = wire(lambda sent: gate.wait(10) and None)
    try:
        with pytest.raises(Unreachable, match=r"no answer to addHost within 0\.2 s; whether"):
            server.client(timeout=0.2).call("addHost", url="http://h1")
        assert len(server.requests) == 1
    finally:
        gate.set()


@pytest.mark.parametrize("answer", [(503, "<html>Service unavailable</html>"), (200, "[]"), (200, '{"a":1,"b":2}'), (404, "")])
def test_something_else_answers(wire: t.Callable[..., Wire], answer: Answer) -> None:
    with pytest.raises(Unreachable, match=f"HTTP status {answer[0]}, but not as CloudStack's API"):
        wire(answer).client().call("listZones")


def test_a_redirection_is_told(wire: t.Callable[..., Wire]) -> None:
    with pytest.raises(Unreachable, match="points to https://other/client/api"):
        wire((301, "", [("Location", "https://other/client/api?command=x")])).client().call("listZones")


@pytest.mark.parametrize("url", ["mgmt:8080/client/api", "ftp://mgmt/client/api", "http://", "http://h:x/", "http://user:word@h/client/api", "http://h/a?b"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        api.Client(url)
    assert "connection.url" in str(caught.value) and "word" not in str(caught.value)


def test_an_address_without_a_path_is_the_usual_one(wire: t.Callable[..., Wire]) -> None:
    server = wire((200, {"xresponse": {}}))
    api.Client(server.url.replace("/client/api", ""), **KEYS).call("listX")
    assert server.paths == ["/client/api"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "mgmt")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return str(path)


def test_tls(wire: t.Callable[..., Wire], certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = wire((200, {"xresponse": {"ok": 1}}), context)
    with pytest.raises(Unreachable, match="its certificate is not trusted"):
        server.client().call("listX")
    assert server.requests == []
    assert server.client(ca_path=certificate).call("listX") == {"ok": 1}
    assert server.client(validate_certs=False).call("listX") == {"ok": 1}
    with pytest.raises(Invalid, match="ca_path: /nowhere cannot be used"):
        server.client(ca_path="/nowhere")


def test_plain_http_where_tls_is_expected(wire: t.Callable[..., Wire]) -> None:
    server = wire((200, {"xresponse": {}}))
    with pytest.raises(Unreachable, match="does not speak TLS as it should"):
        api.Client(server.url.replace("http:", "https:"), **KEYS).call("listX")


def test_the_client_shows_no_secret() -> None:
    client = api.connect({"url": "http://h/client/api", "ca_path": None, "timeout": 3, **KEYS})
    assert "SECRET-two" not in str(vars(client)) and "KEY-one" not in str(vars(client))
