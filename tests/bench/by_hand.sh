#!/usr/bin/env bash
# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The peer of bench "site": the same cluster (three monitors, managers, OSDs and gateways, one pool) by a hand-written
# shell script over ssh, in parallel wherever a person would think of it. Every step looks first, so that it can be re-run.
#
# usage: by_hand.sh SSH_CONFIG_OPTIONS NETWORK SHIM NAME=ADDRESS NAME=ADDRESS NAME=ADDRESS
set -euo pipefail
options=$1 network=$2 shim=$3
shift 3
declare -A address
names=()
for pair in "$@"; do
  names+=("${pair%%=*}")
  address[${pair%%=*}]=${pair#*=}
done
first=${names[0]}

# shellcheck disable=SC2086 # the options are several words on purpose
on() { ssh $options "root@${address[$1]}" bash -s; }
everywhere() {
  local script jobs=() name
  script=$(cat)
  for name in "${names[@]}"; do
    on "$name" <<<"NAME=$name ADDRESS=${address[$name]}; $script" &
    jobs+=($!)
  done
  for job in "${jobs[@]}"; do wait "$job"; done
}

everywhere <<'STEP'
set -e
dpkg -s ceph-mon ceph-mgr ceph-osd radosgw ceph-volume >/dev/null 2>&1 || {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends ceph-mon ceph-mgr ceph-osd radosgw ceph-volume ceph-common >/dev/null 2>&1
}
STEP

hosts=$(for name in "${names[@]}"; do printf '[v2:%s:3300,v1:%s:6789],' "${address[$name]}" "${address[$name]}"; done)
on "$first" <<STEP
set -e
test -e /etc/ceph/ceph.conf || {
  umask 077
  cat > /etc/ceph/ceph.conf <<CONF
[global]
fsid = \$(cat /proc/sys/kernel/random/uuid)
mon_host = ${hosts%,}
public_network = $network
auth_allow_insecure_global_id_reclaim = false
mon_data_avail_warn = 5
CONF
  # It takes -q for the name of the keyring.
  ceph-authtool --create-keyring /etc/ceph/mon.keyring --gen-key -n mon. --cap mon 'allow *' >/dev/null
  ceph-authtool --create-keyring /etc/ceph/ceph.client.admin.keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mds 'allow *' --cap mgr 'allow *' >/dev/null
  ceph-authtool /etc/ceph/mon.keyring --import-keyring /etc/ceph/ceph.client.admin.keyring >/dev/null
  monmaptool --create --fsid \$(sed -n 's/^fsid = //p' /etc/ceph/ceph.conf) $(for name in "${names[@]}"; do printf -- '--addv %s [v2:%s:3300,v1:%s:6789] ' "$name" "${address[$name]}" "${address[$name]}"; done) /etc/ceph/monmap >/dev/null
  chmod 644 /etc/ceph/ceph.conf
}
STEP
# shellcheck disable=SC2086 # the options are several words on purpose
files=$(ssh $options "root@${address[$first]}" 'tar -C /etc/ceph -c ceph.conf mon.keyring ceph.client.admin.keyring monmap | base64 -w0')

everywhere <<STEP
set -e
test -e /etc/ceph/monmap || echo $files | base64 -d | tar -C /etc/ceph -x
test -e /var/lib/ceph/mon/ceph-\$NAME/done || {
  chown ceph:ceph /etc/ceph/mon.keyring /etc/ceph/monmap
  sudo -u ceph ceph-mon --mkfs -i \$NAME --monmap /etc/ceph/monmap --keyring /etc/ceph/mon.keyring 2>/dev/null || runuser -u ceph -- ceph-mon --mkfs -i \$NAME --monmap /etc/ceph/monmap --keyring /etc/ceph/mon.keyring
  touch /var/lib/ceph/mon/ceph-\$NAME/done
}
systemctl -q enable --now ceph-mon@\$NAME
STEP

everywhere <<STEP
set -e
mkdir -p /var/lib/ceph/mgr/ceph-\$NAME /etc/systemd/system/ceph-mgr@.service.d /usr/local/lib/mgr-shim
test -e /var/lib/ceph/mgr/ceph-\$NAME/keyring || {
  echo $(base64 -w0 "$shim") | base64 -d > /usr/local/lib/mgr-shim/bcrypt.py
  printf '[Service]\nEnvironment=PYTHONPATH=/usr/local/lib/mgr-shim\n' > /etc/systemd/system/ceph-mgr@.service.d/shim.conf
  ceph auth get-or-create mgr.\$NAME mon 'allow profile mgr' osd 'allow *' mds 'allow *' -o /var/lib/ceph/mgr/ceph-\$NAME/keyring
  chown -R ceph:ceph /var/lib/ceph/mgr/ceph-\$NAME
  systemctl daemon-reload
}
systemctl -q enable --now ceph-mgr@\$NAME
ls /var/lib/ceph/osd/*/whoami >/dev/null 2>&1 || {
  test -e /var/lib/ceph/bootstrap-osd/ceph.keyring || ceph auth get client.bootstrap-osd -o /var/lib/ceph/bootstrap-osd/ceph.keyring 2>/dev/null
  disk=\$(readlink -f /dev/disk/by-id/lab-* | head -1)
  ceph-volume raw prepare --bluestore --data "\$disk" >/dev/null 2>&1
  id=\$(ceph-volume raw list "\$disk" --format json | sed -n 's/.*"osd_id": \([0-9]*\).*/\1/p')
  ceph-volume raw activate --device "\$disk" --no-systemd --no-tmpfs >/dev/null 2>&1
  chown -R ceph:ceph "\$disk" /var/lib/ceph/osd/ceph-\$id
  systemctl -q enable --now ceph-osd@\$id
}
mkdir -p /var/lib/ceph/radosgw/ceph-rgw.\$NAME
test -e /var/lib/ceph/radosgw/ceph-rgw.\$NAME/keyring || {
  ceph auth get-or-create client.rgw.\$NAME mon 'allow rw' osd 'allow rwx' -o /var/lib/ceph/radosgw/ceph-rgw.\$NAME/keyring
  chown -R ceph:ceph /var/lib/ceph/radosgw
}
systemctl -q enable --now ceph-radosgw@rgw.\$NAME
STEP

on "$first" <<STEP
set -e
ceph osd pool ls | grep -qx vms || { ceph osd pool create vms 32 >/dev/null 2>&1 && ceph osd pool application enable vms rbd 2>/dev/null; }
ceph mgr module disable restful 2>/dev/null || true
for n in \$(seq 120); do
  ceph health | grep -q HEALTH_OK && exit 0
  sleep 1
done
ceph health detail >&2
exit 1
STEP
