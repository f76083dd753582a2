# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One librados connection for a whole module call: connecting costs 20 ms, a command on it 1 ms, a ``ceph`` process 200 ms.

PRIVATE to the collection.
"""

from __future__ import annotations

import errno
import functools
import importlib
import json
import os
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.common.respawn import has_respawned, probe_interpreters_for_module, respawn_module

from ansible_collections.cephstack.cloud.plugins.module_utils._plan import Secret, Unreachable
from ansible_collections.cephstack.cloud.plugins.module_utils._spec import filepath, integer, record, string


def binding(name: str) -> t.Any:
    """The Python module of that name, None where this interpreter has none."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


rados = binding("rados")

# The options of every module that talks to a cluster (documented in the fragment cephstack.cloud.connection).
CONNECTION_OPTIONS: dict[str, t.Any] = {
    "conf": filepath("The Ceph configuration file that names the monitors. It is not read if O(connection.mon_host) is given.", default="/etc/ceph/ceph.conf"),
    "mon_host": string("The monitors' addresses, in the form of C(mon_host) in a C(ceph.conf)."),
    "client": string("The full name of the cephx client.", default="client.admin"),
    "keyring": filepath("A file on this host with the client's key. By default the places where Ceph itself looks."),
    "key": string("The client's key itself. It is used in memory only and reaches no file and no command line.", no_log=True),
    "timeout": integer("How many seconds to wait for the cluster, on connecting and for each command.", default=30),
}
CONNECTION: dict[str, t.Any] = record(
    "How to reach the cluster, and as whom.\n"
    "By default it is the cluster of the play's monitors as C(client.admin), once M(cephstack.cloud.ceph_mon_info) has learned in this run how to reach it. "
    "The roles see to that. Before, and for M(cephstack.cloud.ceph_probe) and M(cephstack.cloud.libvirt_guest_probe), which use the consumers' own keys, "
    "it is the cluster of C(/etc/ceph/ceph.conf) as C(client.admin), whose keyring must then be on this host.",
    CONNECTION_OPTIONS,
    default={},
    apply_defaults=True,
)

# What librados means by an error.
_MEANINGS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "access denied; the key is not this client's, or the client does not exist"),
    errno.ETIMEDOUT: "no monitor answered; are they up, and is the address right?",
    errno.ENOENT: "no keyring with this client's key was found",
    errno.EINVAL: "the key or the configuration is malformed (a key of type aes256k needs a client library of 20.2.4 or newer)",
}
# Distributions build the bindings for their own interpreter only.
_INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python", "/usr/bin/python3.9", "/usr/bin/python3.11", "/usr/bin/python3.12")


def find_binding(name: str = "rados") -> bool:
    """Go on under an interpreter that has the binding; False if there is none."""
    if binding(name):
        return True
    interpreter = _other_interpreter(name)
    if interpreter:
        respawn_module(interpreter)
    return False


def require_binding(module: t.Any, name: str = "rados", package: str = "python3-rados") -> None:
    """Go on under an interpreter that has the binding, or end the module and name the package."""
    if not find_binding(name):
        module.fail_json(msg=f"the Python binding '{name}' is missing on this host: install the package {package}")


def binding_or_dry_run(module: t.Any, name: str, package: str) -> bool:
    """Require a binding; False in check mode on a host that has none yet, since a run would install it first."""
    if module.check_mode:
        return find_binding(name)
    require_binding(module, name, package)
    return True


def _other_interpreter(name: str) -> t.Optional[str]:
    return None if has_respawned() else probe_interpreters_for_module(_INTERPRETERS, name)


class CommandFailed(Exception):
    """The cluster was reached and said no. code: a positive errno (errno.ENOENT where the cluster says that the thing is not there)."""

    def __init__(self, prefix: str, code: int, text: str) -> None:
        self.prefix, self.code, self.text = prefix, abs(code), text.strip()
        name = errno.errorcode.get(self.code, str(self.code))
        super().__init__(f"ceph {prefix}: {name}: {self.text or os.strerror(self.code)}")


class Connection:
    """An open connection to one cluster as one cephx client: a context manager, safe in threads. options: of the shape of CONNECTION_OPTIONS."""

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        self.client: str = options.get("client") or "client.admin"
        self.timeout: int = options.get("timeout") or 30
        self._conf, self._mon_host, self._keyring = options.get("conf") or "/etc/ceph/ceph.conf", options.get("mon_host"), options.get("keyring")
        self._key = Secret(options.get("key") or "")
        self.rados: t.Any = None  # the rados.Rados itself, for librbd and I/O contexts

    def __enter__(self) -> Connection:
        timeouts = dict.fromkeys(("client_mount_timeout", "rados_mon_op_timeout", "rados_osd_op_timeout"), str(self.timeout))
        given = {"mon_host": self._mon_host, "keyring": self._keyring, "key": self._key.reveal()}
        settings = {**timeouts, **{name: value for name, value in given.items() if value}}
        conffile = None if self._mon_host else self._conf
        if conffile and not os.path.exists(conffile):
            raise Unreachable(f"no Ceph configuration at {conffile}: name it (conf), or the monitors (mon_host)")
        try:
            self.rados = rados.Rados(name=self.client, conffile=conffile, conf=settings)
            self.rados.connect(timeout=self.timeout)
        except Exception as error:  # rados.Error, and its own subclasses of OSError
            where = self._mon_host or (self.rados and self.rados.conf_get("mon_host")) or f"the monitors of {conffile}"
            self.__exit__()
            raise Unreachable(f"cannot connect to Ceph at {where} as {self.client} within {self.timeout} s: {_explain(error)}") from error
        return self

    def __exit__(self, *unused: object) -> None:
        if self.rados is not None:
            self.rados.shutdown()
            self.rados = None

    @property
    def fsid(self) -> str:
        """The cluster's fsid, in its usual form with dashes."""
        return str(self.rados.get_fsid())

    def command(self, prefix: str, inbuf: bytes = b"", **arguments: t.Any) -> t.Any:
        """Send a command to the monitors, without arguments that are None; return its JSON, or its text. Raises CommandFailed, Unreachable."""
        return self._send(self.rados.mon_command, prefix, inbuf, arguments)

    def mgr_command(self, prefix: str, inbuf: bytes = b"", **arguments: t.Any) -> t.Any:
        """The same, sent to the active manager."""
        return self._send(self.rados.mgr_command, prefix, inbuf, arguments)

    def osd_command(self, number: int, prefix: str, inbuf: bytes = b"", **arguments: t.Any) -> t.Any:
        """The same, sent to an OSD."""
        return self._send(functools.partial(self.rados.osd_command, number), prefix, inbuf, arguments)

    def many(self, calls: t.Sequence[tuple[str, dict[str, t.Any]]]) -> list[t.Any]:
        """Send several commands side by side; return their results in order. Raises what the first of them raised."""
        with ThreadPoolExecutor(max_workers=max(1, min(32, len(calls)))) as pool:
            return list(pool.map(lambda call: self.command(call[0], **call[1]), calls))

    def _send(self, send: t.Callable[..., tuple[int, bytes, str]], prefix: str, inbuf: bytes, arguments: dict[str, t.Any]) -> t.Any:
        wanted = {"prefix": prefix, "format": "json", **{key: value for key, value in arguments.items() if value is not None}}
        try:
            code, out, text = send(json.dumps(wanted), inbuf, timeout=self.timeout)
        except Exception as error:
            raise Unreachable(f"ceph {prefix} as {self.client}: {_explain(error)}") from error
        if code in (-errno.ETIMEDOUT, -errno.EINTR):
            raise Unreachable(f"ceph {prefix} as {self.client}: no answer within {self.timeout} s")
        if code != 0:
            raise CommandFailed(prefix, code, text)
        body = out.decode("utf-8", "replace").strip()
        try:
            return json.loads(body) if body else text.strip()
        except ValueError:
            return body


def nowhere(connection: t.Mapping[str, t.Any]) -> bool:
    """Whether nothing says where a cluster could be: no monitors were named, and there is no configuration file."""
    return not connection.get("mon_host") and not os.path.exists(connection.get("conf") or "/etc/ceph/ceph.conf")


def asked(cluster: t.Optional[Connection]) -> Connection:
    """Return the connection that a change is made over; a plan against no cluster is never applied."""
    if cluster is None:
        raise RuntimeError("there is no cluster to change")
    return cluster


def _explain(error: Exception) -> str:
    code = getattr(error, "errno", None)
    meaning = _MEANINGS.get(abs(code)) if isinstance(code, int) else None
    return f"{error}: {meaning}" if meaning else str(error)
