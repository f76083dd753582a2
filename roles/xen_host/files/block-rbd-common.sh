# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034 # variables are for those that source this
#
# What block-rbd and block-tap-rbd share. Sourced by them, after Xen's own block-common.sh.

# libxl kills a hotplug script without a word after 40 s (LIBXL_HOTPLUG_TIMEOUT). So that it is this script that says what is wrong,
# Ceph gets 12 s to answer at all and 20 s to open the image.
ASK_SECONDS=12
OPEN_SECONDS=20

# Functions that fail unseen must end in xenstore too.
set -o errtrace

# Set image, id, and shared, ro and direct (each yes or empty), from what the guest's configuration says.
read_target()
{
    local params words word name='[A-Za-z0-9_.+][A-Za-z0-9_.+-]*' access

    params=$(xenstore_read_default "$XENBUS_PATH/params" '')
    params=${params#aio:} # put there by libxl, where backendtype=tap
    IFS=: read -ra words <<< "$params"
    image=${words[0]:-}
    id='' ro='' shared='' direct=''
    for word in "${words[@]:1}"; do
        case $word in
            id=*) id=${word#id=} ;;
            ro) ro=yes ;;
            shared) shared=yes ;;
            rbd) direct=yes ;;
            *) fatal "target=$params: '$word' is none of the words that may follow POOL/IMAGE: id=USER, ro, shared" ;;
        esac
    done
    [[ $image =~ ^$name/$name(/$name)?(@$name)?$ ]] \
        || fatal "target=$params: '$image' is no POOL/IMAGE of letters, digits and any of _ . + -"
    [[ $id =~ ^$name$ ]] || fatal "target=$params: which client? Write target=$image:id=USER"
    [ "${id#client.}" = "$id" ] || fatal "target=$params: write the client as id=${id#client.}, without 'client.'"

    access=$(canonicalise_mode "$(xenstore_read_default "$XENBUS_PATH/mode" w)")
    [ "$access" != '!' ] || shared=yes
    if [ "$access" = r ]; then
        ro=yes
    elif [ -n "$ro" ] || [ "$image" != "${image%@*}" ]; then
        fatal "target=$params can only be read: write access=ro"
    fi
    # Nobody can change a snapshot.
    [ "$image" = "${image%@*}" ] || shared=yes
}

# One start or end of the same image at a time, on this host.
lock_image()
{
    lock=rbd-${image%@*}
    lock=${lock//\//-}
    claim_lock "$lock"
}

# The last line of what rbd said, which is the one that says why.
reason()
{
    local line last='it said nothing'
    while IFS= read -r line; do
        [ -z "$line" ] || last=${line#rbd: }
    done <<< "$1"
    echo "$last"
}

# Print the krbd devices of this host that hold the image.
mapped_here()
{
    local device pool namespace name
    for device in /sys/bus/rbd/devices/*; do
        [ -e "$device/name" ] || continue
        pool='' namespace='' name=''
        read -r pool < "$device/pool" || :
        [ ! -e "$device/pool_ns" ] || read -r namespace < "$device/pool_ns" || :
        read -r name < "$device/name" || :
        [ "$pool${namespace:+/$namespace}/$name" != "${image%@*}" ] || echo "/dev/rbd${device##*/}"
    done
}

# Ask Ceph for the image, and set said to its answer. The script ends with Ceph's own words where there is none.
ask_ceph()
{
    local status=0
    said=$(timeout "$ASK_SECONDS" rbd --id "$id" status --format json "${image%@*}" 2>&1) || status=$?
    case $status in
        0) ;;
        124) fatal "$image as client.$id: Ceph does not answer within $ASK_SECONDS s" ;;
        *) fatal "$image as client.$id: $(reason "$said")" ;;
    esac
}

# Print the addresses of those who have the image open for writing, out of said: Ceph calls them its watchers.
writers()
{
    grep -o '"address": *"[^"]*"' <<< "$said" | cut -d '"' -f 4 | paste -sd ' '
}

# Refuse an image that cannot be used, or that somebody else uses. Ceph's lock alone does not do: it would be taken from
# a guest that runs elsewhere (under KVM, or with shared), which would then hang.
check_image()
{
    local said found
    ask_ceph
    [ -z "$shared" ] || return 0
    found=$(writers)
    [ -z "$found" ] || fatal "$image is in use by $found. End that first (a host that died lets go after 30 s), or give each of them the word 'shared'"
    [ -z "$ro" ] || return 0
    found=$(mapped_here | paste -sd ' ')
    [ -z "$found" ] || fatal "$image is in use on this host, read-only, as $found. End that first, or give each of them the word 'shared'"
}
