# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services' user of the broker, RabbitMQ.

It is made by definitions, in which the password is a salted hash: rabbitmqctl waits without end for a password that it is given by a pipe.

PRIVATE to the collection.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pwd
import socket
import typing as t

from ansible_collections.cephstack.cloud.plugins.module_utils._host import files, process
from ansible_collections.cephstack.cloud.plugins.module_utils._openstack.declaration import BROKER_USER, OpenStack
from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Draft, Invalid, Plan, Risk, Unreachable

DATA = "/var/lib/rabbitmq/mnesia"


def definitions(password: str, salt: bytes) -> str:
    """What rabbitmqctl import_definitions takes: the user, with the hash of its password as RabbitMQ has it (four bytes of salt), and its rights. Pure."""
    digest = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    user = {"name": BROKER_USER, "password_hash": digest, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}
    return json.dumps({"users": [user], "permissions": [{"user": BROKER_USER, "vhost": "/", **dict.fromkeys(("configure", "write", "read"), ".*")}]})


class Provider:
    """The broker's user. local: the broker is on this host; runs: it runs, or is elsewhere."""

    def __init__(self, openstack: OpenStack, local: bool, runs: bool) -> None:
        self.openstack, self.local, self.runs = openstack, local, runs

    def observe(self) -> bool:
        """Whether the user can log in. A broker of this host that does not run yet is asked when it does: one that ever ran is taken to know its user."""
        if self.local and not self.runs:
            return os.path.isdir(DATA) and bool(os.listdir(DATA))
        import amqp

        host, port = self.openstack.messages["host"], self.openstack.messages["port"]
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        connection = amqp.Connection(host=where, userid=BROKER_USER, password=self.openstack.messages["password"], connect_timeout=15, read_timeout=15)
        try:
            connection.connect()
        except amqp.exceptions.AccessRefused:
            return False
        except amqp.exceptions.NotAllowed:  # of the virtual host
            return False
        except (OSError, socket.timeout, amqp.exceptions.AMQPError) as error:
            raise Unreachable(f"the broker {where}: {error}") from error
        connection.close()
        return True

    def plan(self, observed: bool) -> Plan:
        draft = Draft(kinds=("broker_user",))
        if not observed and not self.local:
            host = self.openstack.messages["host"]
            raise Invalid([f"openstack.messages: the broker {host} does not let in {BROKER_USER} with this password: make this user there, or correct it"])
        draft.ensure("broker_user", BROKER_USER, {"login": observed}, {"login": True}, self._make, risk=Risk.NONE)
        return draft.plan()

    def returned(self, observed: t.Any) -> dict[str, t.Any]:
        return {}

    def _make(self) -> None:
        """rabbitmqctl reads the file as RabbitMQ's user, so it is that user's."""
        owner, path = pwd.getpwnam("rabbitmq"), f"/run/cephstack-definitions-{os.getpid()}.json"
        try:
            files.write(path, definitions(self.openstack.messages["password"], os.urandom(4)), 0o600, owner.pw_uid, owner.pw_gid)
            process.run(["rabbitmqctl", "import_definitions", path], timeout=120)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
