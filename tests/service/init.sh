#!/bin/busybox sh
# The first process of the guest: a Debian root file system below an overlay, then its systemd.
# shellcheck shell=dash source=tests/kernels/boot.sh
. /boot.sh
read -r root </share/root
read -r checkout </share/directory

$b mount -t tmpfs -o size=75% rw /rw
$b mkdir -p /rw/upper /rw/work
$b mount -t overlay -o "lowerdir=/ro$root,upperdir=/rw/upper,workdir=/rw/work" overlay /new
$b mkdir -p /new/srv/share "/new$checkout"
$b mount --bind "/ro$checkout" "/new$checkout"
$b mount --move /share /new/srv/share
for directory in proc sys dev; do
    $b mount --move "/$directory" "/new/$directory"
done
port=/dev/null
for each in /new/sys/class/virtio-ports/*; do
    read -r name <"$each/name"
    [ "$name" != out ] || port=/dev/${each##*/}
done
units=/new/etc/systemd/system
$b mkdir -p $units/multi-user.target.wants
$b cat >$units/netio-test.service <<END
[Unit]
After=dbus.service systemd-user-sessions.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/bin/sh /srv/share/command; echo \$\$? >/srv/share/status; sync; systemctl poweroff -ff'
StandardOutput=file:$port
StandardError=inherit
TimeoutStartSec=infinity
END
$b ln -s ../netio-test.service $units/multi-user.target.wants/netio-test.service
exec $b switch_root /new /lib/systemd/systemd
