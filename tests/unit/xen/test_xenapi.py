# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session with a pool: who is spoken to, whom it trusts, and what it says when there is no answer."""

from __future__ import annotations

import hashlib
import pathlib
import socket
import ssl
import threading
import typing as t

import pytest

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Invalid, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._xen.xenapi import Failure, Session, connect
from ansible_collections.cephstack.cloud.tests.unit.xen.xapi_server import Pool, Refused, Server, Slave

Serve = t.Callable[..., Server]


def fingerprint(certificate: tuple[str, str]) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pathlib.Path(certificate[0]).read_text(encoding="ascii"))).hexdigest()


def test_a_session_reads_and_ends(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    with Session(serve(pool).address, "root", "right", ca_path=certificate[0]) as session:
        assert {record["name_label"] for record in session.records("host").values()} == {"xcp1", "xcp2"}
        assert len(pool.sessions) == 1
    assert pool.sessions == set()


def test_a_session_ends_when_something_goes_wrong(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    refused = pytest.raises(Failure, match=r"SR\.forget: HANDLE_INVALID: SR, OpaqueRef:x")
    with refused, Session(serve(pool).address, "root", "right", ca_path=certificate[0]) as session:
        session.call("SR.forget", "OpaqueRef:x")
    assert pool.sessions == set()


def test_another_member_names_the_master(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    master = serve(pool)
    member = serve(Slave("127.0.0.1"), address="127.0.0.2", port=master.port)
    with Session(member.address, "root", "right", ca_path=certificate[0]) as session:
        assert session.address == "127.0.0.1"
        assert session.records("pool")


def test_members_that_name_each_other_are_no_loop(serve: Serve, certificate: tuple[str, str]) -> None:
    one = serve(Slave("127.0.0.2"))
    serve(Slave("127.0.0.1"), address="127.0.0.2", port=one.port)
    with pytest.raises(Unreachable, match=r"no master was found: 127.0.0.1 names 127.0.0.2 names 127.0.0.1"):
        Session(one.address, "root", "right", ca_path=certificate[0]).login()


def test_a_wrong_password(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    server = serve(pool)
    with pytest.raises(Unreachable, match=r"does not know the user root with this password \(SESSION_AUTHENTICATION_FAILED\)") as error:
        Session(server.address, "root", "hunter22", ca_path=certificate[0]).login()
    assert "hunter22" not in str(error.value)


def test_what_is_said_has_no_secret_in_it(serve: Serve, certificate: tuple[str, str]) -> None:
    class Talkative(Pool):
        def dispatch(self, name: str, args: tuple[t.Any, ...]) -> t.Any:
            raise Refused("INTERNAL_ERROR", f"{name}{args}")

    with pytest.raises(Unreachable, match="INTERNAL_ERROR") as error:
        Session(serve(Talkative()).address, "root", "hunter22", ca_path=certificate[0]).login()
    assert "hunter22" not in str(error.value)


def test_a_certificate_that_nobody_trusts(serve: Serve, pool: Pool) -> None:
    with pytest.raises(Unreachable, match=r"certificate is not trusted .*ca_path.*fingerprints"):
        Session(serve(pool).address, "root", "right").login()
    assert pool.calls == []


def test_a_certificate_known_by_its_fingerprint(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    known = fingerprint(certificate)
    written = "SHA256=" + ":".join(known[i : i + 2] for i in range(0, 64, 2)).upper()
    with Session(serve(pool).address, "root", "right", fingerprints=["0" * 64, written]):
        assert pool.sessions


def test_another_fingerprint_gets_no_password(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    with pytest.raises(Unreachable, match=f"the fingerprint of its certificate is {fingerprint(certificate)}"):
        Session(serve(pool).address, "root", "right", fingerprints=["0" * 64]).login()
    assert pool.calls == []


def test_trust_without_a_look(serve: Serve, pool: Pool) -> None:
    with Session(serve(pool).address, "root", "right", validate_certs=False):
        assert pool.sessions


def test_nobody_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached"):
        Session(f"127.0.0.1:{port}", "root", "right", validate_certs=False).login()


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_web_server_of_another_kind(serve: Serve, pool: Pool, status: int) -> None:
    with pytest.raises(Unreachable, match=rf"HTTP status {status}: is it a host of XenServer or XCP-ng\?"):
        Session(serve(pool, status=status).address, "root", "right", validate_certs=False).login()


def test_a_call_is_never_sent_twice(certificate: tuple[str, str]) -> None:
    """xmlrpc.client's own transport repeats a call whose connection broke; SR.create twice makes two repositories."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            while True:
                try:
                    raw, _peer = listener.accept()
                except OSError:
                    return
                with context.wrap_socket(raw, server_side=True) as connection:
                    seen.append(connection.recv(65536))

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(Unreachable, match=r"for session\.login_with_password"):
            Session(f"127.0.0.1:{listener.getsockname()[1]}", "root", "right", ca_path=certificate[0]).login()
        listener.shutdown(socket.SHUT_RDWR)
    assert len(seen) == 1


def test_a_session_that_was_ended_by_the_pool(serve: Serve, pool: Pool, certificate: tuple[str, str]) -> None:
    with Session(serve(pool).address, "root", "right", ca_path=certificate[0]) as session:
        pool.sessions.clear()
        with pytest.raises(Unreachable, match=r"ended the session at host.get_all_records \(SESSION_INVALID\)"):
            session.records("host")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"master": "https://10.0.0.21/"}, "connection.master 'https://10.0.0.21/' is no address"),
        ({"master": "10.0.0.21", "fingerprints": ["ab:cd"]}, "'ab:cd' is no SHA-256 fingerprint"),
        ({"master": "10.0.0.21", "ca_path": "/nonexistent"}, "connection.ca_path /nonexistent"),
    ],
)
def test_bad_options(options: dict[str, t.Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        connect({"user": "root", "password": "right", **options})


@pytest.mark.parametrize(
    ("master", "where"),
    [("xcp1", "xcp1"), ("10.0.0.21:8443", "10.0.0.21:8443"), ("fd00::21", "fd00::21"), ("[fd00::21]:443", "fd00::21")],
)
def test_addresses(master: str, where: str) -> None:
    assert Session(master, "root", "right").where == where
