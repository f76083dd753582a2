# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
#
# A stand-in for Xen's block-common.sh, for machines without Xen: the functions of it that the collection's scripts use, with the same
# effects in xenstore, on the lock and on the script. With CEPHSTACK_XEN_SCRIPTS=/etc/xen/scripts the tests take the real one.

command=$1
: "${XENBUS_PATH:?}"
log() { logger -p "daemon.$1" -- "$0:" "${@:2}"; }
fatal() { xenstore-write "$XENBUS_PATH/hotplug-error" "$*" "$XENBUS_PATH/hotplug-status" error; log err "$@"; exit 1; }
trap 'fatal "$0 failed; error detected."' ERR
xenstore_read_default() { xenstore-read "$1" 2> /dev/null || echo "$2"; }
xenstore_write() { xenstore-write "$@" || fatal "Writing $* to xenstore failed."; }
success() { xenstore_write "$XENBUS_PATH/hotplug-status" connected; }

write_dev()
{
    local numbers
    numbers=$(stat -L -c %t:%T "$1") || :
    [ -n "$numbers" ] || fatal "Backend device does not exist"
    xenstore_write "$XENBUS_PATH/physical-device" "$numbers"
    xenstore_write "$XENBUS_PATH/physical-device-path" "$1"
    success
}

canonicalise_mode()
{
    case $1 in
        *w*'!'* | *'!'*w*) echo '!' ;;
        *w*) echo w ;;
        *) echo r ;;
    esac
}

claim_lock()
{
    local held named
    _lockfd=200
    _lockfile=$DOUBLES/hotplug/$1
    mkdir -p "${_lockfile%/*}"
    while true; do
        eval "exec $_lockfd<>$_lockfile"
        flock -x "$_lockfd"
        # Whoever had it before has removed the file.
        held=$(stat -L -c %i "/proc/self/fd/$_lockfd")
        named=$(stat -c %i "$_lockfile" 2> /dev/null) || named=
        [ "$held" != "$named" ] || break
    done
}

release_lock() { rm "$_lockfile"; }
