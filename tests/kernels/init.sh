#!/bin/busybox sh
# The first process of the guest: this machine's files below an overlay, then the command.
# shellcheck shell=dash source=tests/kernels/boot.sh
. /boot.sh

$b mount -t tmpfs -o size=75% rw /rw
$b mkdir -p /rw/upper /rw/work
$b mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work overlay /new
for directory in proc sys dev; do
    $b mkdir -p "/new/$directory"
    $b mount --move "/$directory" "/new/$directory"
done
# The checkout stays, also where it is below a directory that is hidden now.
read -r checkout </share/directory
$b mkdir /checkout
$b mount --bind "/new$checkout" /checkout
for directory in run tmp dev/shm; do
    $b mkdir -p "/new/$directory"
    $b mount -t tmpfs tmpfs "/new/$directory"
done
$b mkdir -p "/new$checkout"
$b mount --move /checkout "/new$checkout"
$b chmod 1777 /new/tmp /new/dev/shm
$b mkdir -p /new/dev/pts /new/run/share
$b mount -t devpts devpts /new/dev/pts
$b mount --move /share /new/run/share
$b mount -t tracefs tracefs /new/sys/kernel/tracing
$b mount -t debugfs debugfs /new/sys/kernel/debug
$b mount -t bpf bpf /new/sys/fs/bpf
$b mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
$b ln -sf /proc/self/fd /new/dev/fd
$b ln -sf /proc/self/fd/0 /new/dev/stdin
$b ln -sf /proc/self/fd/1 /new/dev/stdout
$b ln -sf /proc/self/fd/2 /new/dev/stderr
$b ifconfig lo 127.0.0.1 netmask 255.0.0.0 up
$b hostname netio-guest
port=/dev/null
for each in /new/sys/class/virtio-ports/*; do
    read -r name <"$each/name"
    [ "$name" != out ] || port=/dev/${each##*/}
done
$b cp /bin/busybox /new/run/busybox
$b cat >/new/run/init <<END
b=/run/busybox
\$b setsid /bin/sh /run/share/command </dev/null >$port 2>&1
echo \$? >/run/share/status
\$b sync
\$b poweroff -f
END
exec $b switch_root /new /run/busybox sh /run/init
