#!/bin/sh
# Writes an archive with files of Debian packages as they are installed here, for images that no registry
# need be asked for. Without arguments: what the Dockerfile's stages need of `debian:bookworm-slim`.
#
#   base.sh [PACKAGE...]    these packages as well
set -eu
packages="base-files base-passwd coreutils dash findutils grep libc-bin libc6 libgcc-s1 login passwd sed $*"
merged='s#^/(s?bin|lib|lib64)/#/usr/\1/#'
cd /
# shellcheck disable=SC2086
owned=$(dpkg --listfiles $packages | grep -E '^/[^.]' | grep -vE '^/usr/share/(doc|man|locale|info|lintian)/|/bitcode/|llvmjit' |
    sed -E "$merged" | sort -u)
programs=$(printf '%s\n' "$owned" | grep -E '^/usr/(s?bin|lib/[a-z]+/[0-9]+/(bin|lib))/')
# shellcheck disable=SC2086
libraries=$(ldd $programs 2> /dev/null | grep -oE '/(usr/)?lib[^ ]+' | grep -v ':$' | sort -u)
# shellcheck disable=SC2086
libraries=$(printf '%s\n' $libraries; realpath $libraries)
# Users are those of a fresh system, not this machine's.
printf '%s\n' /bin /sbin /lib /lib64 "$owned" "$libraries" | sed -E "$merged; s#^/##" | sort -u |
    grep -vxE 'etc/(passwd|group)' | while read -r path; do [ ! -e "$path" ] || echo "$path"; done |
    tar --create --no-recursion --hard-dereference --files-from=- \
        --transform='flags=r;s#^usr/share/base-passwd/\(passwd\|group\).master$#etc/\1#'
