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


def ask(daemon: str, prefix: str, timeout: float = 5.0) -> t.Any:
    """Ask a running daemon ("mon.ceph1", "client.rgw.ceph1.s3") by its admin socket; None where it does not answer (yet).

    The protocol: the command ended by a zero byte; the answer's length in four bytes, big-endian, and the answer.
    """
    path = f"{RUN}/{CLUSTER}-{daemon}.asok"
    try:
        if not os.path.exists(path):  # a client's also carries its process id and a number
            found = (one for one in glob.glob(f"{RUN}/{CLUSTER}-{glob.escape(daemon)}.*.asok") if re.search(r"\.\d+\.\d+\.asok$", one))
            path = max(found, key=os.path.getmtime, default=path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            connection.sendall(json.dumps({"prefix": prefix}).encode() + b"\0")
            with connection.makefile("rb") as answer:
                (length,) = struct.unpack(">I", answer.read(4))
                return json.loads(answer.read(length))
    except (OSError, struct.error, ValueError):
        return None
