#!/bin/sh
# Boots the systemd of this machine as the first process of namespaces of its own, on a copy of this
# machine's files that keeps changes in memory. Run inside fresh namespaces by machine.rs.
#
#   boot.sh FOLDER    an empty folder for the copy
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/changed" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changed,workdir=$1/work" "$1/root"
cd "$1/root"

# What a container gets: the kernel's settings and hardware are out of reach.
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm

# No service of this machine's starts with it, no disk is looked for, no timer falls due.
: > etc/fstab
for unit in timers.target systemd-modules-load.service; do
    ln -sf /dev/null "etc/systemd/system/$unit"
done
cat > etc/systemd/system/bare.target << 'UNIT'
[Unit]
Requires=basic.target dbus.socket
After=basic.target dbus.socket
UNIT

mkdir -p mnt
pivot_root . mnt
umount -l /mnt
# Credentials of services are mounted elsewhere and handed on.
mount --make-rshared /
exec env -i container=vigia-tests PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=bare.target --show-status=no
