#!/usr/bin/env bash
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The smallest cluster, by hand on one host, as somebody has it who knows nothing of this collection. Ends with the keyring that they hand out.
#
# usage: cluster.sh FSID ADDRESS
set -euo pipefail
fsid=$1 address=$2 name=$(hostname -s)
umask 077
cat >/etc/ceph/ceph.conf <<CONF
[global]
fsid = $fsid
mon_host = [v2:$address:3300,v1:$address:6789]
CONF
chmod 644 /etc/ceph/ceph.conf
ceph-authtool --create-keyring /etc/ceph/mon.keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool --create-keyring /etc/ceph/ceph.client.admin.keyring --gen-key -n client.admin \
  --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *' >/dev/null
ceph-authtool /etc/ceph/mon.keyring --import-keyring /etc/ceph/ceph.client.admin.keyring >/dev/null
monmaptool --create --fsid "$fsid" --addv "$name" "[v2:$address:3300,v1:$address:6789]" /etc/ceph/monmap >/dev/null
chown ceph:ceph /etc/ceph/mon.keyring /etc/ceph/monmap
runuser -u ceph -- ceph-mon --mkfs -i "$name" --monmap /etc/ceph/monmap --keyring /etc/ceph/mon.keyring 2>/dev/null
systemctl -q enable --now "ceph-mon@$name"

for setting in auth_allow_insecure_global_id_reclaim=false mon_data_avail_warn=5 mon_allow_pool_size_one=true mon_warn_on_pool_no_redundancy=false \
  osd_pool_default_size=1 osd_pool_default_min_size=1 mon_max_pg_per_osd=500; do
  ceph config set global "${setting%=*}" "${setting#*=}"
done

# Of Debian 13 its manager needs a bcrypt that several interpreters can load, in mgr-shim.
mkdir -p "/var/lib/ceph/mgr/ceph-$name" "/var/lib/ceph/mds/ceph-$name" /etc/systemd/system/ceph-mgr@.service.d
printf '[Service]\nEnvironment=PYTHONPATH=/usr/local/lib/mgr-shim\n' >/etc/systemd/system/ceph-mgr@.service.d/shim.conf
ceph auth get-or-create "mgr.$name" mon 'allow profile mgr' osd 'allow *' mds 'allow *' -o "/var/lib/ceph/mgr/ceph-$name/keyring"
ceph auth get-or-create "mds.$name" mon 'profile mds' mgr 'profile mds' mds 'allow *' osd 'allow *' -o "/var/lib/ceph/mds/ceph-$name/keyring"
chown -R ceph:ceph /var/lib/ceph/mgr /var/lib/ceph/mds
systemctl daemon-reload
systemctl -q enable --now "ceph-mgr@$name" "ceph-mds@$name"

ceph auth get client.bootstrap-osd -o /var/lib/ceph/bootstrap-osd/ceph.keyring 2>/dev/null
disk=$(readlink -f /dev/disk/by-id/lab-osd0)
ceph-volume raw prepare --bluestore --data "$disk" >/dev/null 2>&1
id=$(ceph-volume raw list "$disk" --format json | sed -n 's/.*"osd_id": \([0-9]*\).*/\1/p')
ceph-volume raw activate --device "$disk" --no-systemd --no-tmpfs >/dev/null 2>&1
chown -R ceph:ceph "$disk" "/var/lib/ceph/osd/ceph-$id"
systemctl -q enable --now "ceph-osd@$id"

# The command of the guide "An existing cluster".
ceph auth get-or-create client.cephstack mon 'allow r, allow service auth rwx, allow service osd rw, allow service fs rw, allow service mds rw' \
  mgr 'allow r' osd 'allow rwx' mds 'allow rw'
