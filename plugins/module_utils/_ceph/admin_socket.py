# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to a daemon of this host by its admin socket.

PRIVATE to the collection.
"""

from __future__ import annotations

import glob
import json
import os
import re
import socket
import struct
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._ceph.paths import CLUSTER, RUN


def socket_path(daemon: str) -> t.Optional[str]:
    """The admin socket of a daemon ("mon.ceph1", "client.rgw.ceph1.s3"), None where it has none.

    A client's socket also carries its process id and a number.
    """
    plain = f"{RUN}/{CLUSTER}-{daemon}.asok"
    if os.path.exists(plain):
        return plain
    found = [path for path in glob.glob(f"{RUN}/{CLUSTER}-{glob.escape(daemon)}.*.asok") if re.search(r"\.\d+\.\d+\.asok$", path)]
    return max(found, key=os.path.getmtime) if found else None


def ask(daemon: str, prefix: str, timeout: float = 5.0) -> t.Any:
    """Ask a running daemon by its admin socket; None where it does not answer (yet).

    The protocol: the command ended by a zero byte; the answer's length in four bytes, big-endian, and the answer.
    """
    path = socket_path(daemon)
    if path is None:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(json.dumps({"prefix": prefix}).encode() + b"\0")
            with connection.makefile("rb") as answer:
                (length,) = struct.unpack(">I", answer.read(4))
                return json.loads(answer.read(length))
    except (OSError, struct.error, ValueError):
        return None
