# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a region offers to its users (offerings.py, networks.py, templates.py and users.py in plugins/module_utils/_cloudstack)."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  disk_offerings:
    description:
      - What kinds of volumes users can make.
      - CloudStack can change some of it in place. Where what differs cannot be changed, it is an error that says what to do.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name. CloudStack takes several of one name; here a name is one, and several are an error that lists them.
        type: str
        required: true
      state:
        description: Whether it is offered. V(absent) ends the offer; what was made of it keeps it.
        type: str
        choices: [present, absent]
        default: present
      display_text:
        description: What users read. By default the name. Left out, it is left alone.
        type: str
      size:
        description: The size in GiB. Left out, whoever makes a volume says its size.
        type: int
      strict_size:
        description: Whether the size of a volume stays as it is made.
        type: bool
      visible:
        description: Whether users see it.
        type: bool
      tags:
        description: Only storage that has all of these tags takes the volumes. It is an error if no primary storage has them. Left out, they are left alone; an
          empty list takes them away.
        type: list
        elements: str
      storage:
        description: Whether volumes are on primary storage that hosts share, or on a host's own disks.
        type: str
        choices: [shared, local]
        default: shared
      provisioning:
        description: How space is allocated. On Ceph it is always allocated as it is used.
        type: str
        choices: [thin, sparse, fat]
      cache_mode:
        description: How the hypervisor caches writes.
        type: str
        choices: ["none", writeback, writethrough, hypervisor_default]
      read_iops:
        description: How many reads a second a volume may do. V(0) is no limit; CloudStack cannot take a limit away again.
        type: int
      write_iops:
        description: How many writes a second a volume may do, as C(read_iops).
        type: int
      read_bytes:
        description: How many bytes a second may be read from a volume, as C(read_iops).
        type: int
      write_bytes:
        description: How many bytes a second may be written to a volume, as C(read_iops).
        type: int
      encrypt:
        description: Whether volumes are encrypted by the hypervisor. On Ceph CloudStack up to 4.22 cannot do that.
        type: bool
      zones:
        description: The zones in which it is offered. By default all.
        type: list
        elements: str
  service_offerings:
    description:
      - What kinds of guests users can make.
      - With neither O(service_offerings[].cpu_number) nor O(service_offerings[].memory), whoever makes a guest chooses them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name. CloudStack takes several of one name; here a name is one, and several are an error that lists them.
        type: str
        required: true
      state:
        description: Whether it is offered. V(absent) ends the offer; what was made of it keeps it.
        type: str
        choices: [present, absent]
        default: present
      display_text:
        description: What users read. By default the name. Left out, it is left alone.
        type: str
      cpu_number:
        description: How many virtual CPUs.
        type: int
      cpu_speed:
        description: The speed of each in MHz. CloudStack counts a host's capacity by it.
        type: int
      memory:
        description: Memory in MiB.
        type: int
      min_cpu_number:
        description: The fewest virtual CPUs that can be chosen.
        type: int
      max_cpu_number:
        description: The most virtual CPUs that can be chosen.
        type: int
      min_memory:
        description: The least memory that can be chosen, in MiB.
        type: int
      max_memory:
        description: The most memory that can be chosen, in MiB.
        type: int
      root_disk_size:
        description: The size of the root disk in GiB. By default, and with V(0), that of the template.
        type: int
      host_tags:
        description: Only hosts that have all of these tags run the guests. Left out, they are left alone.
        type: list
        elements: str
      network_rate:
        description: The rate of the network in Mbit/s, V(0) for no limit. By default what the server's settings say.
        type: int
      high_availability:
        description: Whether a guest is started on another host when its own is lost. CloudStack needs an NFS primary storage for that, RBD alone is not enough.
        type: bool
      limit_cpu:
        description: Whether a guest never gets more than its CPU speed.
        type: bool
      volatile:
        description: Whether the root disk is made anew at each start.
        type: bool
      dynamic_scaling:
        description: Whether a running guest may be given more CPU and memory.
        type: bool
      details:
        description: Further details, by name.
        type: dict
      tags:
        description: Only storage that has all of these tags takes the volumes. It is an error if no primary storage has them. Left out, they are left alone; an
          empty list takes them away.
        type: list
        elements: str
      storage:
        description: Whether volumes are on primary storage that hosts share, or on a host's own disks.
        type: str
        choices: [shared, local]
        default: shared
      provisioning:
        description: How space is allocated. On Ceph it is always allocated as it is used.
        type: str
        choices: [thin, sparse, fat]
      cache_mode:
        description: How the hypervisor caches writes.
        type: str
        choices: ["none", writeback, writethrough, hypervisor_default]
      read_iops:
        description: How many reads a second a volume may do. V(0) is no limit; CloudStack cannot take a limit away again.
        type: int
      write_iops:
        description: How many writes a second a volume may do, as C(read_iops).
        type: int
      read_bytes:
        description: How many bytes a second may be read from a volume, as C(read_iops).
        type: int
      write_bytes:
        description: How many bytes a second may be written to a volume, as C(read_iops).
        type: int
      encrypt:
        description: Whether volumes are encrypted by the hypervisor. On Ceph CloudStack up to 4.22 cannot do that.
        type: bool
      zones:
        description: The zones in which it is offered. By default all.
        type: list
        elements: str
  networks:
    description:
      - The administrator's networks of guests. What they are (L2, shared, isolated) is said by their network offering.
      - A name is one network of its zone. Networks of other accounts and of projects are not looked at.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      zone:
        description: Its zone.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=network/ZONE/NAME), and the server refuses it while guests are on it.
        type: str
        choices: [present, absent]
        default: present
      offering:
        description: The network offering, such as V(DefaultL2NetworkOffering). Required for a network that is present.
        type: str
      display_text:
        description: What users read. By default the name. Left out, it is left alone.
        type: str
      physical_network:
        description: The physical network, if the zone has several.
        type: str
      vlan:
        description: Its VLAN, or V(untagged), if the offering needs one. It must not be one that CloudStack gives to isolated networks.
        type: str
      gateway:
        description: The address of the gateway, of a shared or an isolated network.
        type: str
      netmask:
        description: The netmask.
        type: str
      start:
        description: The first address that a shared network gives to guests.
        type: str
      end:
        description: The last one.
        type: str
      domain_suffix:
        description: The domain of the guests' names.
        type: str
      dns1:
        description: A name server for the guests, instead of the zone's. Since CloudStack 4.18.
        type: str
      dns2:
        description: Another.
        type: str
  templates:
    description:
      - Disks of which guests are made. A name is one template of its zone. Those of users are not looked at.
      - What a template's file is cannot be changed later; where it differs, it is an error that says what to do.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name.
        type: str
        required: true
      zone:
        description: Its zone.
        type: str
        required: true
      state:
        description: Whether it exists. V(absent) needs O(allow_loss=template/ZONE/NAME). Guests that were made from it keep their disks.
        type: str
        choices: [present, absent]
        default: present
      url:
        description: Where the file is. The hosts, or the secondary storage, download it from there. Required for a template that is present.
        type: str
      format:
        description: The format of the disk in it.
        type: str
        choices: [QCOW2, RAW, VHD, VHDX]
        default: QCOW2
      checksum:
        description: Its checksum, as V(sha256:) and hexadecimal digits. The sum is that of the file as it is downloaded, so of the compressed one.
        type: str
      verify:
        description: Whether the file of a new template is downloaded and compared with O(templates[].checksum) before anything is changed. If the host that
          runs the module cannot read it, it warns, and the hosts compare.
        type: bool
        default: true
      direct_download:
        description: Whether hosts download it themselves, onto primary storage. It needs a host with KVM and no secondary storage. On RBD the file must be
          compressed (C(.gz), C(.bz2), C(.zip)).
        type: bool
        default: true
      hypervisor:
        description: For which hypervisor it is.
        type: str
        choices: [kvm, xenserver, simulator]
        default: kvm
      os_type:
        description: The operating system in it, by the name that CloudStack has for it.
        type: str
        default: Other Linux (64-bit)
      display_text:
        description: What users read. By default the name. Left out, it is left alone.
        type: str
      public:
        description: Whether all users can use it.
        type: bool
        default: true
      featured:
        description: Whether it is among the first that users see.
        type: bool
        default: true
      extractable:
        description: Whether users may download it.
        type: bool
      password_enabled:
        description: Whether guests of it take a password from CloudStack.
        type: bool
      requires_hvm:
        description: Whether it needs hardware virtualisation.
        type: bool
      dynamically_scalable:
        description: Whether guests of it can be given more CPU and memory while they run.
        type: bool
      details:
        description: Further details, such as C(rootDiskController), by name. Those that are not named are left alone.
        type: dict
        default: {}
  users:
    description:
      - Users with API keys, each in an account.
      - A user that is there keeps its password, and keys that are there are never made anew. They are not returned; M(cephstack.cloud.cloudstack_keys) reads
        those of one user.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name with which it logs in.
        type: str
        required: true
      account:
        description: The account, made with its first user. By default of the user's name.
        type: str
      domain:
        description: The path of the domain, such as V(ROOT/customers).
        type: str
        default: ROOT
      role:
        description: The role of the account.
        type: str
        default: User
      password:
        description: The password of a new user. It is not changed later.
        type: str
      email:
        description: The address of the user. By default one on localhost.
        type: str
      first_name:
        description: The first name. By default the user's name.
        type: str
      last_name:
        description: The last name. By default the user's name.
        type: str
      keys:
        description: Whether it has API keys; they are made if it has none.
        type: bool
        default: true
"""
