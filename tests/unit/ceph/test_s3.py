# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests are signed, and whose certificates are trusted."""

from __future__ import annotations

import datetime
import http.server
import ssl
import subprocess
import threading

import botocore.auth
import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.s3 import ApiFailed, Client, Credentials, canonical_query, sign
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable

# -- signing: the examples of AWS, "Signature Calculations for the Authorization Header" (S3 API reference)

EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
HOST = "examplebucket.s3.amazonaws.com"
NOW = datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "headers", "signature"),
    [
        ("GET", "/test.txt", {}, b"", {"Range": "bytes=0-9"}, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        ("GET", "/", {"lifecycle": ""}, b"", {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/", {"prefix": "J", "max-keys": "2"}, b"", {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_signatures_are_those_of_the_reference(monkeypatch, method, path, query, body, headers, signature):
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    url = f"http://{HOST}{path}" + ("?" + canonical_query(query) if query else "")
    assert sign(EXAMPLE, method, url, body, headers)["Authorization"].endswith(f"Signature={signature}")


def test_a_body_may_stay_unsigned():
    assert sign(EXAMPLE, "PUT", f"http://{HOST}/", b"text", {}, sign_body=False)["X-Amz-Content-SHA256"] == "UNSIGNED-PAYLOAD"


def test_the_query_is_in_the_order_that_is_signed():
    assert canonical_query({"uid": "a$b c", "caps": "", "user-caps": "users=*;x=read"}) == "caps=&uid=a%24b%20c&user-caps=users%3D%2A%3Bx%3Dread"


def test_no_gateway_is_no_empty_answer():
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1: .*refused.*; http://127\.0\.0\.1:2: "):
        Client(["http://127.0.0.1:1", "http://127.0.0.1:2"]).request(EXAMPLE, "GET", "/")


# -- TLS: gateways are asked by their addresses, and have certificates for names


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For names only, as an authority gives it."""
    names = ["s3.example.org", "*.s3.example.org"]
    path, key = (str(tmp_path_factory.mktemp("tls") / name) for name in ("crt.pem", "key.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=gateway"]
    command += ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names), "-keyout", key, "-out", path]
    subprocess.run(command, check=True, capture_output=True)
    return path, key


@pytest.fixture
def secure(certificate):
    """Something that answers 403 to everybody, with TLS. asked: the names that clients asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.headers["Host"])
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda _socket, name, _context: server.names.append(name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.asked, server.names, server.url = [], [], f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_certificate_for_a_name_is_verified_for_it_at_the_address(secure, certificate):
    client = Client([secure.url], ca_path=certificate[0], names=["other.example.org", "s3.example.org"])
    client.wait(0)
    with pytest.raises(ApiFailed, match="403"):
        client.request(EXAMPLE, "GET", "/")
    assert client.status_without_key("/bucket/object") == 403
    assert set(secure.names) == {"other.example.org", "s3.example.org"}
    assert set(secure.asked) == {secure.url.partition("//")[2]}, "for who asks by address, names in the path are buckets' names"


def test_a_certificate_for_another_name_or_of_nobodys_is_not_trusted(secure, certificate):
    for names, why in (([], r"\(as 127\.0\.0\.1: "), (["s3.example.com"], r"as s3\.example\.com: Hostname mismatch.*; as 127\.0\.0\.1: "), ([""], "as 127")):
        client = Client([secure.url], ca_path=certificate[0], names=names)
        with pytest.raises(Unreachable, match=f"its certificate is not trusted .*{why}"):
            client.request(EXAMPLE, "GET", "/")
        with pytest.raises(Unreachable, match=why):
            client.wait(0)
        with pytest.raises(Unreachable, match=why):
            client.status_without_key("/")
    with pytest.raises(Unreachable, match="its certificate is not trusted"):
        Client([secure.url], names=["s3.example.org"]).request(EXAMPLE, "GET", "/")
    # Who asks by a name means that name
    with pytest.raises(Unreachable, match=r"its certificate is not trusted .as localhost: Hostname mismatch[^;]*$"):
        Client([secure.url.replace("127.0.0.1", "localhost")], ca_path=certificate[0], names=["s3.example.org"]).request(EXAMPLE, "GET", "/")
    assert secure.asked == []
    with pytest.raises(ApiFailed, match="403"):
        Client([secure.url], validate_certs=False).request(EXAMPLE, "GET", "/")
