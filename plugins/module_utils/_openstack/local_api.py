# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The APIs of this very host, past whatever stands before them.

PRIVATE to the collection.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import APIS


@contextlib.contextmanager
def connect(api: str, tls: bool, timeout: int) -> t.Iterator[http.client.HTTPConnection]:
    """A connection to an API of this host. Whose certificate that is, is for those to see who use its name."""
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", APIS[api].port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", APIS[api].port, timeout=timeout)
    with contextlib.closing(connection):
        yield connection


def answers(api: str, tls: bool) -> bool:
    """Whether an API answers, with its versions: it does not while it starts, and says 5xx when it has failed to."""
    try:
        with connect(api, tls, timeout=20) as connection:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
