# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.cephstack.cloud.tests.unit.xen import xapi_server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return xapi_server.certificate(str(tmp_path_factory.mktemp("tls")), ["127.0.0.1", "127.0.0.2"])


@pytest.fixture
def serve(certificate: tuple[str, str]) -> t.Iterator[t.Callable[..., xapi_server.Server]]:
    servers: list[xapi_server.Server] = []

    def start(pool: xapi_server.Pool, **options: t.Any) -> xapi_server.Server:
        servers.append(xapi_server.Server(pool, *certificate, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def pool() -> xapi_server.Pool:
    return xapi_server.Pool()
