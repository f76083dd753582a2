# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a pool's xapi: XenAPI over HTTPS, with storage that can be there or not.

It is a contract, not the real thing. Signatures and their order are those of ocaml/idl/datamodel.ml, refusals those of
ocaml/xapi/xapi_{sr,pbd,session}.ml and message_forwarding.ml (xapi-project/xen-api), backends' refusals those of drivers/{LVHD,CephFS,NFS}SR.py and
XE_SR_ERRORCODES.xml (xcp-ng/sm). It knows nothing of the collection.
"""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading
import typing as t
import uuid
import xmlrpc.client

# The parameters after the session: r a reference with its class, m a map of strings, i an integer (on the wire a string), s a string, b a boolean.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "SR.create": ("r:host", "m", "i", "s", "s", "s", "s", "b", "m"),
    "SR.introduce": ("s", "s", "s", "s", "s", "b", "m"),
    "SR.probe": ("r:host", "m", "s", "m"),
    "SR.forget": ("r:SR",),
    "SR.destroy": ("r:SR",),
    "SR.set_shared": ("r:SR", "b"),
    "SR.set_name_description": ("r:SR", "s"),
    "SR.get_by_name_label": ("s",),
    "PBD.create": ("record",),
    "PBD.plug": ("r:PBD",),
    "PBD.unplug": ("r:PBD",),
    "PBD.destroy": ("r:PBD",),
    "pool.set_default_SR": ("r:pool", "r:SR"),
    "VDI.get_name_label": ("r:VDI",),
    "session.logout": (),
    **{f"{kind}.get_all_records": () for kind in ("pool", "host", "host_metrics", "SR", "PBD", "SM")},
}
WRITES = ("create", "introduce", "forget", "destroy", "set_", "plug", "unplug")
NULL = "OpaqueRef:NULL"


class Refused(Exception):
    """A failure, as ErrorDescription has it."""


def reference() -> str:
    return f"OpaqueRef:{uuid.uuid4()}"


class Pool:
    """A pool's database and the storage behind it.

    mapped: the devices that a host has. contents: the UUID of the repository on a device or a path. exports: (server, path) that are served.
    ceph: the hosts with ceph-common. blind: the devices that LVM doesn't look at.
    """

    def __init__(self, hosts: t.Sequence[str] = ("xcp1", "xcp2"), types: t.Sequence[str] = ("lvm", "nfs", "cephfs", "ext")) -> None:
        self.password = "right"
        self.sessions: set[str] = set()
        self.calls: list[str] = []
        self.tables: dict[str, dict[str, dict[str, t.Any]]] = {kind: {} for kind in ("pool", "host", "host_metrics", "SR", "PBD", "SM", "VDI")}
        self.attached: dict[str, set[str]] = {}
        for number, name in enumerate(hosts, 21):
            metrics, host = reference(), reference()
            self.tables["host_metrics"][metrics] = {"uuid": str(uuid.uuid4()), "live": True, "memory_total": "8589934592"}
            self.tables["host"][host] = {
                "uuid": str(uuid.uuid4()),
                "name_label": name,
                "hostname": name,
                "address": f"10.0.0.{number}",
                "enabled": True,
                "metrics": metrics,
                "software_version": {"product_brand": "XCP-ng", "product_version": "8.3.0"},
            }
        self.master = next(iter(self.tables["host"]))
        self.tables["pool"][reference()] = {"uuid": str(uuid.uuid4()), "name_label": "lab", "master": self.master, "default_SR": NULL, "other_config": {}}
        for kind in types:
            self.tables["SM"][reference()] = {"uuid": str(uuid.uuid4()), "type": kind, "name_label": kind, "capabilities": [], "features": {}}
        self.mapped: dict[str, set[str]] = {host: set() for host in self.tables["host"]}
        self.contents: dict[str, str] = {}
        self.exports: set[tuple[str, str]] = set()
        self.ceph = set(self.tables["host"])
        self.blind: set[str] = set()

    # -- for tests

    def host(self, name: str) -> str:
        return next(ref for ref, record in self.tables["host"].items() if record["name_label"] == name)

    def repository(self, name: str) -> dict[str, t.Any]:
        (record,) = [record for record in self.tables["SR"].values() if record["name_label"] == name]
        return record

    def plugs(self, name: str) -> dict[str, dict[str, t.Any]]:
        (sr,) = [ref for ref, record in self.tables["SR"].items() if record["name_label"] == name]
        return {self.tables["host"][record["host"]]["name_label"]: record for record in self.tables["PBD"].values() if record["SR"] == sr}

    def power(self, name: str, live: bool) -> None:
        self.tables["host_metrics"][self.tables["host"][self.host(name)]["metrics"]]["live"] = live

    def map_everywhere(self, device: str) -> None:
        for devices in self.mapped.values():
            devices.add(device)

    def run_guest(self, repository: str, host: str, disk: str) -> None:
        """A guest on a host, with a disk in a repository."""
        (sr,) = [ref for ref, record in self.tables["SR"].items() if record["name_label"] == repository]
        vdi = reference()
        self.tables["VDI"][vdi] = {"uuid": str(uuid.uuid4()), "name_label": disk, "SR": sr}
        self.tables["SR"][sr]["VDIs"].append(vdi)
        self.attached.setdefault(self.host(host), set()).add(vdi)

    def written(self) -> list[str]:
        return [call for call in self.calls if call.partition(".")[2].startswith(WRITES)]

    # -- the API

    def dispatch(self, name: str, args: tuple[t.Any, ...]) -> t.Any:
        self.calls.append(name)
        if name == "session.login_with_password":
            if len(args) not in (2, 3, 4):
                raise Refused("MESSAGE_PARAMETER_COUNT_MISMATCH", name, "4", str(len(args)))
            if args[1] != self.password:
                raise Refused("SESSION_AUTHENTICATION_FAILED", args[0], "Authentication failure")
            token = reference()
            self.sessions.add(token)
            return token
        if name not in SIGNATURES:
            raise Refused("MESSAGE_METHOD_UNKNOWN", name)
        if not args or args[0] not in self.sessions:
            raise Refused("SESSION_INVALID", str(args[0]) if args else "")
        token, *params = args
        if name == "session.logout":
            self.sessions.discard(token)
            return ""
        self.check(name, params)
        kind, _dot, message = name.partition(".")
        if message == "get_all_records":
            return self.tables[kind]
        return getattr(self, name.replace(".", "_"))(*params)

    def check(self, name: str, params: list[t.Any]) -> None:
        expected = SIGNATURES[name]
        if len(params) != len(expected):
            raise Refused("MESSAGE_PARAMETER_COUNT_MISMATCH", name, str(len(expected)), str(len(params)))
        for number, (kind, value) in enumerate(zip(expected, params)):
            fits = {
                "m": isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
                "i": isinstance(value, str) and value.lstrip("-").isdigit(),
                "s": isinstance(value, str),
                "b": isinstance(value, bool),
                "record": isinstance(value, dict) and {"host", "SR", "device_config", "other_config"} <= set(value),
            }.get(kind, isinstance(value, str))
            if not fits:
                raise Refused("FIELD_TYPE_ERROR", f"{name}[{number}]")
            if kind.startswith("r:") and value not in self.tables[kind[2:]]:
                raise Refused("HANDLE_INVALID", kind[2:], value)

    def SR_create(
        self,
        _host: str,
        device_config: dict[str, str],
        _size: str,
        label: str,
        about: str,
        kind: str,
        content: str,
        shared: bool,
        sm_config: dict[str, str],
    ) -> str:
        if kind not in {record["type"] for record in self.tables["SM"].values()}:
            raise Refused("SR_UNKNOWN_DRIVER", kind)
        unique = str(uuid.uuid4())
        # A shared one is made by the master, whatever host was named.
        self.reach(self.master, kind, device_config)
        if kind == "lvm":
            if any(record["device_config"].get("device") == device_config["device"] for record in self.tables["PBD"].values()):
                raise Refused("SR_BACKEND_FAILURE_16", "", "The SR device is currently in use", "")
            self.contents[device_config["device"]] = unique  # wipefs, vgcreate: what was there is gone
            sm_config = {**sm_config, "use_vhd": "true"}
        sr = self.SR_introduce(unique, label, about, kind, content, shared, sm_config)
        for host in self.tables["host"] if shared else [self.master]:
            pbd = self.PBD_create({"host": host, "SR": sr, "device_config": device_config, "other_config": {}})
            try:
                self.PBD_plug(pbd)
            except Refused:
                pass  # Tasks.wait_for_all doesn't look at what came of them
        return sr

    def SR_introduce(self, unique: str, label: str, about: str, kind: str, content: str, shared: bool, sm_config: dict[str, str]) -> str:
        if unique in {record["uuid"] for record in self.tables["SR"].values()}:
            raise Refused("DB_UNIQUENESS_CONSTRAINT_VIOLATION", "SR", "uuid", unique)
        sr = reference()
        self.tables["SR"][sr] = {
            "uuid": unique,
            "name_label": label,
            "name_description": about,
            "type": kind,
            "content_type": content,
            "shared": shared,
            "sm_config": sm_config,
            "other_config": {},
            "VDIs": [],
            "PBDs": [],
            "physical_size": "107374182400",
            "physical_utilisation": "0",
            "virtual_allocation": "0",
        }
        return sr

    def SR_probe(self, host: str, device_config: dict[str, str], kind: str, _sm_config: dict[str, str]) -> str:
        # lvutil.scan_srlist: a device that can't be read is as good as empty
        seen = device_config.get("device", "") in self.mapped[host] - self.blind
        found = self.contents.get(device_config["device"], "") if seen else ""
        return f'<?xml version="1.0" ?>\n<SRlist>\n\t<SR>\n\t\t<UUID>\n\t\t\t{found}\n\t\t</UUID>\n\t</SR>\n</SRlist>\n' if found else "<SRlist/>\n"

    def reach(self, host: str, kind: str, config: dict[str, str]) -> None:
        """What a backend says of storage that isn't there."""
        if kind == "lvm" and config["device"] not in self.mapped[host]:
            raise Refused("SR_BACKEND_FAILURE_19", "", f"No such device [opterr=Device {config['device']} does not exist]", "")
        if kind == "cephfs" and host not in self.ceph:
            raise Refused("SR_BACKEND_FAILURE_47", "", "The SR is not available [opterr=ceph is not installed]", "")
        if kind == "cephfs" and (config["server"], config["serverpath"]) not in self.exports:
            raise Refused("SR_BACKEND_FAILURE_111", "", "CephFS mount error [opterr=mount failed with return code 32]", "")
        if kind == "nfs" and (config["server"], config["serverpath"]) not in self.exports:
            raise Refused("SR_BACKEND_FAILURE_73", "", "NFS mount error [opterr=mount failed with return code 32]", "")

    def unplugged(self, sr: str) -> None:
        if any(record["SR"] == sr and record["currently_attached"] for record in self.tables["PBD"].values()):
            raise Refused("SR_HAS_PBD", sr)

    def SR_forget(self, sr: str) -> str:
        self.unplugged(sr)
        self.tables["PBD"] = {ref: record for ref, record in self.tables["PBD"].items() if record["SR"] != sr}
        del self.tables["SR"][sr]
        return ""

    def SR_destroy(self, sr: str) -> str:
        self.unplugged(sr)
        if self.tables["SR"][sr]["VDIs"]:
            raise Refused("SR_BACKEND_FAILURE_39", "", "The SR is not empty", "")
        gone = self.tables["SR"][sr]["uuid"]
        self.contents = {place: unique for place, unique in self.contents.items() if unique != gone}
        return self.SR_forget(sr)

    def SR_set_shared(self, sr: str, value: bool) -> str:
        self.tables["SR"][sr]["shared"] = value
        return ""

    def SR_set_name_description(self, sr: str, value: str) -> str:
        self.tables["SR"][sr]["name_description"] = value
        return ""

    def SR_get_by_name_label(self, label: str) -> list[str]:
        return [ref for ref, record in self.tables["SR"].items() if record["name_label"] == label]

    def PBD_create(self, record: dict[str, t.Any]) -> str:
        for ref, other in self.tables["PBD"].items():
            if (other["SR"], other["host"]) == (record["SR"], record["host"]):
                raise Refused("PBD_EXISTS", record["SR"], record["host"], ref)
        pbd = reference()
        self.tables["PBD"][pbd] = {**record, "device_config": dict(record["device_config"]), "uuid": str(uuid.uuid4()), "currently_attached": False}
        return pbd

    def PBD_plug(self, pbd: str) -> str:
        record = self.tables["PBD"][pbd]
        host, sr = record["host"], self.tables["SR"][record["SR"]]
        if not self.tables["host_metrics"][self.tables["host"][host]["metrics"]]["live"]:
            raise Refused("HOST_OFFLINE", host)
        if sr["type"] != "lvm":
            self.reach(host, sr["type"], record["device_config"])
        elif record["device_config"]["device"] not in self.mapped[host] or self.contents.get(record["device_config"]["device"]) != sr["uuid"]:
            raise Refused("SR_BACKEND_FAILURE_47", "", f"The SR is not available [opterr=no such volume group: VG_XenStorage-{sr['uuid']}]", "")
        record["currently_attached"] = True
        return ""

    def PBD_unplug(self, pbd: str) -> str:
        record = self.tables["PBD"][pbd]
        used = [vdi for vdi in self.attached.get(record["host"], ()) if self.tables["VDI"][vdi]["SR"] == record["SR"]]
        if used:
            raise Refused("VDI_IN_USE", *used)
        record["currently_attached"] = False
        return ""

    def PBD_destroy(self, pbd: str) -> str:
        if self.tables["PBD"][pbd]["currently_attached"]:
            raise Refused("OPERATION_NOT_ALLOWED", "PBD is currently attached")
        del self.tables["PBD"][pbd]
        return ""

    def pool_set_default_SR(self, pool: str, sr: str) -> str:
        self.tables["pool"][pool]["default_SR"] = sr
        return ""

    def VDI_get_name_label(self, vdi: str) -> str:
        return self.tables["VDI"][vdi]["name_label"]


class Slave(Pool):
    """A member that isn't the master: it only says who is."""

    def __init__(self, master: str) -> None:
        super().__init__()
        self.names = master

    def dispatch(self, name: str, args: tuple[t.Any, ...]) -> t.Any:
        self.calls.append(name)
        raise Refused("HOST_IS_SLAVE", self.names)


def certificate(directory: str, names: t.Sequence[str]) -> tuple[str, str]:
    """A certificate that its host signed itself, as a new host has, and its key: the paths of both."""
    crt, key = f"{directory}/host.crt", f"{directory}/host.key"
    alternatives = ",".join(f"IP:{name}" for name in names)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-keyout", key, "-out", crt, "-subj", "/CN=xcp1", "-addext", f"subjectAltName={alternatives}"]
    subprocess.run(command, check=True, capture_output=True)
    return crt, key


class Server:
    """A pool at an address. answer: instead of XenAPI's own, a plain HTTP status."""

    def __init__(self, pool: Pool, crt: str, key: str, address: str = "127.0.0.1", port: int = 0, status: int = 200) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                args, name = xmlrpc.client.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if status != 200:
                    self.send_error(status)
                    return
                try:
                    answer = {"Status": "Success", "Value": pool.dispatch(str(name), args)}
                except Refused as refused:
                    answer = {"Status": "Failure", "ErrorDescription": list(refused.args)}
                body = xmlrpc.client.dumps((answer,), methodresponse=True).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: t.Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        self.http = http.server.ThreadingHTTPServer((address, port), Handler)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.address = f"{address}:{self.http.server_port}"
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
