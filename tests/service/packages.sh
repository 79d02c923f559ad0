#!/bin/sh
# packages.sh ROOT SCRATCH: installs, tries, removes and purges SCRATCH/debs/*.deb in a copy of the
# root file system ROOT that lasts as long as this script, in a mount namespace of its own.
set -eu

root=$1
scratch=$2
mkdir "$scratch/memory"
mount -t tmpfs tmpfs "$scratch/memory"
cd "$scratch/memory"
mkdir upper work merged
mount -t overlay -o "lowerdir=$root,upperdir=upper,workdir=work" overlay merged
cp "$scratch"/debs/*.deb merged/root
cd merged
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run

inside() { chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }

# What dpkg, and the tools that make users, keep for themselves.
listing() {
    find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./var/cache \) -prune \
        -o ! -name '*-' ! -name .pwd.lock -printf '%y %m %u:%g %p\n' | sort
    cut -d: -f1,3 etc/passwd
    cut -d: -f1,3 etc/group
    cat etc/shadow etc/gshadow
}

daemon=''
trap '[ -z "$daemon" ] || kill "$daemon"' EXIT

# The root file system is that of another test, which has the user already.
inside userdel netio
listing >"$scratch/before"

echo '== install'
inside sh -c 'dpkg -i /root/*.deb'
inside getent passwd netio
inside netiod --version
inside netioctl --version
inside test -L /etc/systemd/system/multi-user.target.wants/netiod.service
test -n "$(find usr/lib/netio -name '*.pyc')"

echo '== run'
chroot . /usr/sbin/netiod &
daemon=$!
tries=0
until inside netioctl status >"$scratch/status" 2>&1; do
    kill -0 "$daemon"
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || exit 1
    sleep 0.1
done
cat "$scratch/status"
inside netioctl doctor
kill "$daemon"
wait "$daemon" || :
daemon=''

echo '== upgrade'
echo 'verbose = true' >>etc/netio/netiod.toml
inside sh -c 'dpkg -i /root/*.deb'
grep -q '^verbose = true' etc/netio/netiod.toml

echo '== remove'
inside dpkg --remove netiod netioctl
test ! -e usr/lib/netio
test -e etc/netio/netiod.toml
inside getent passwd netio

echo '== purge'
inside dpkg --purge netiod netioctl
listing >"$scratch/after"
diff "$scratch/before" "$scratch/after"
echo '== nothing is left'
