#!/bin/bash
#
# fresh-machine.sh - the README's two commands on a machine that has nothing but Debian 12.
#
# A minimal bookworm is put into a folder with debootstrap, entered with private mounts, and an
# ordinary user with sudo clones this repository and types ./cpam demo and ./cpam test --quick, and
# nothing else.  Packages come through the host's package cache.  Needs root, debootstrap, the
# permission to mount, and Debian's mirror (or a full cache).
#
# usage: fresh-machine.sh [--keep] [COMMAND...]     (default: ./cpam demo, ./cpam test --quick)
# Speaks TAP; where mounts are not permitted the cases are skipped with the reason.
#
set -euo pipefail
export LC_ALL=C
source_root=${CPAM_SOURCE_ROOT:-$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)}
cache=/var/cache/apt/archives
keep=false
if [ "${1:-}" = --keep ]; then keep=true; shift; fi
commands=("$@")
[ "${#commands[@]}" -gt 0 ] || commands=("./cpam demo" "./cpam test --quick")

skip() { echo "1..0 # SKIP $*"; exit 0; }
[ "$(id -u)" = 0 ] || skip "a chroot needs root"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
unshare --mount --pid --fork mount -t tmpfs none /mnt 2>/dev/null || skip "mounts are not permitted here"

mirror=$(sed -n 's/^URIs: *//p; s/^deb \(http[^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources \
    /etc/apt/sources.list 2>/dev/null | grep -m1 -v security || :)
mirror=${mirror:-http://deb.debian.org/debian}
python3 - "$mirror/dists/bookworm/InRelease" 2>/dev/null <<'PY' || skip "no answer from $mirror"
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=20).read(1)
PY

if [ -z "${CPAM_FRESH_INSIDE:-}" ]; then
    machine=$(mktemp -d /var/tmp/cpam-fresh.XXXXXX)
    chmod 755 "$machine"
    code=0
    # All mounts and processes of the new machine end with this one process.
    CPAM_FRESH_INSIDE=$machine unshare --mount --pid --fork --kill-child \
        "$0" "${commands[@]}" || code=$?
    if $keep; then echo "# kept: $machine"; else rm -rf --one-file-system "$machine"; fi
    exit $code
fi

machine=$CPAM_FRESH_INSIDE
number=0
failed=0
# step TITLE COMMAND...: one TAP case; the command's output as diagnostics
step()
{
    local title=$1 start=$SECONDS log code=0
    shift
    number=$((number + 1))
    log=$machine.log
    "$@" >"$log" 2>&1 </dev/null || code=$?
    if [ $code = 0 ]; then
        tail -n 3 "$log" | sed 's/^/# /'
        echo "ok $number - $title ($((SECONDS - start)) s)"
    else
        tail -n 60 "$log" | sed 's/^/# /' >&2
        echo "not ok $number - $title (exit status $code)"
        failed=1
    fi
    rm -f "$log"
}
inside() { chroot "$machine" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb "$@"; }
newcomer() { inside su - newcomer -c "$1"; }

make_machine()
{
    local suite
    debootstrap --variant=minbase --cache-dir="$cache" --include=sudo,git,ca-certificates \
        bookworm "$machine" "$mirror"
    mount -t proc proc "$machine/proc"
    mount --rbind /dev "$machine/dev"
    mount --bind "$cache" "$machine/var/cache/apt/archives"
    cp -L /etc/resolv.conf /etc/hosts "$machine/etc/"
    for suite in bookworm bookworm-updates; do echo "deb $mirror $suite main"; done \
        >"$machine/etc/apt/sources.list"
    echo "deb ${mirror%/debian}/debian-security bookworm-security main" >>"$machine/etc/apt/sources.list"
    # the sandbox user of apt can not always write into a borrowed cache
    echo 'APT::Sandbox::User "root";' >"$machine/etc/apt/apt.conf.d/99sandbox"
    inside useradd --create-home --shell /bin/bash newcomer
    echo 'newcomer ALL=(ALL) NOPASSWD: ALL' >"$machine/etc/sudoers.d/newcomer"
}

# What a newcomer gets is what is committed, not what lies about in the working folder.
bring_repository()
{
    git -c safe.directory='*' -C "$source_root" bundle create "$machine/home/newcomer/cpam.bundle" HEAD
    chmod 644 "$machine/home/newcomer/cpam.bundle"
    newcomer 'git clone -q cpam.bundle cpam 2>/dev/null && cd cpam && git log --oneline -1'
}

# Debian's postgresql-15 makes a cluster `main`; nothing of ours may have touched it.
main_is_untouched()
{
    local conf=$machine/etc/postgresql/15/main data=$machine/var/lib/postgresql/15/main
    [ -d "$conf" ] || { echo "no PostgreSQL was needed"; return 0; }
    ! grep -rqs cpam "$conf" "$data/postgresql.auto.conf"
}

echo "1..$((3 + ${#commands[@]}))"
step "a minimal Debian 12" make_machine
step "git clone as an ordinary user" bring_repository
for command in "${commands[@]}"; do
    step "$command" newcomer "cd cpam && $command"
done
step "Debian's own cluster is left alone" main_is_untouched
exit $failed
