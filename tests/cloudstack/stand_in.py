#!/usr/bin/env python3
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the stand-in for CloudStack's management server (standin/) until it is ended, and a small object gateway beside it.

    tests/cloudstack/stand_in.py --keys-file FILE [--port N] [--gateway-file FILE] [--access-log FILE]

It listens on 127.0.0.1 and knows a root admin, admin with password "password", whose API keys it has made. The file of keys says url, api_key
and api_secret, as CEPHSTACK_CLOUDSTACK wants it; that of the gateway is what CEPHSTACK_RGW wants. Both are written when all listens.
It needs nothing but Python.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from standin import gateway, wire


def write(path: str, content: t.Mapping[str, t.Any]) -> None:
    """Write a file for its owner only, whole or not at all."""
    new = f"{path}.new"
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    os.replace(new, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys-file", required=True, help="where to write the address and the keys")
    parser.add_argument("--gateway-file", help="where to write the address and the users of the object gateway; without it there is none")
    parser.add_argument("--access-log", help="a file that gets a line for each call, with the command and the status")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; a free one by default")
    given = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *unused: ended.set())
    if given.gateway_file:
        _server, gateways, url = gateway.serve()
        users = {name: {"access_key": keys.access, "secret_key": keys.secret} for name, keys in (("admin", gateways.admin), ("user", gateways.user))}
        write(given.gateway_file, {"url": url, **users})
    log = pathlib.Path(given.access_log).open("a", buffering=1, encoding="utf-8") if given.access_log else None  # noqa: SIM115 - until the end
    stand_in = wire.StandIn(log)
    _server, url = wire.serve(stand_in, given.port)
    admin = stand_in.state.rows("users", username="admin")[0]
    admin.update(apikey=wire.new_key(), _secretkey=wire.new_key())
    write(given.keys_file, {"url": url, "api_key": admin["apikey"], "api_secret": admin["_secretkey"]})
    print(url, flush=True)
    ended.wait()


if __name__ == "__main__":
    main()
