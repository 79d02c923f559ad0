#!/bin/busybox sh
# What every guest does first: modules, this machine's files at /ro, the share at /share.
# shellcheck shell=dash
b=/bin/busybox
$b mkdir -p /proc /sys /dev /ro /rw /new /share
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do
    # Refused when the CPU lacks what it needs, or something has brought its like already.
    $b insmod "/modules/$module" || echo "netio: module $module: refused"
done </modules/list

options=trans=virtio,version=9p2000.L,msize=512000
tries=0
until $b mount -t 9p -o "ro,cache=loose,$options" root /ro; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || $b poweroff -f
    $b usleep 100000
done
$b mount -t 9p -o "rw,$options" share /share || $b poweroff -f
