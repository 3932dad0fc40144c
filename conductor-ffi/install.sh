#!/bin/sh
# Builds and installs the C library: conductor.h, libconductor.so.N, libconductor.a and, for pkg-config,
# conductor.pc and conductor-static.pc.
#
#     PREFIX=/opt/conductor conductor-ffi/install.sh
#
# PREFIX   where it will be used from; /usr/local unless set. An absolute path.
# DESTDIR  put before PREFIX while installing, for who makes packages.
# PROFILE  cargo's profile; release unless set.
set -eu

cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
profile=${PROFILE:-release}
case $prefix in
    /*) ;;
    *) echo "install.sh: PREFIX is not absolute: $prefix" >&2; exit 2 ;;
esac

define() { sed -n "s/^#define $1 \"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" include/conductor.h; }
version=$(define CONDUCTOR_VERSION)
abi=$(define CONDUCTOR_ABI_VERSION)

cargo build --locked --package conductor-ffi --profile "$profile"
case $profile in
    dev) folder=debug ;;
    *) folder=$profile ;;
esac
built=${CARGO_TARGET_DIR:-target}/$folder

include=${DESTDIR:-}$prefix/include
lib=${DESTDIR:-}$prefix/lib
mkdir -p "$include" "$lib/pkgconfig"
install -m 644 include/conductor.h "$include/conductor.h"
install -m 755 "$built/libconductor.so" "$lib/libconductor.so.$abi"
ln -sf "libconductor.so.$abi" "$lib/libconductor.so"
install -m 644 "$built/libconductor.a" "$lib/libconductor.a"

# pc NAME LIBS
pc() {
    sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" -e "s|@LIBS@|$2|" \
        conductor-ffi/conductor.pc.in >"$lib/pkgconfig/$1.pc"
}
pc conductor '-L${libdir} -lconductor'
# What the archive needs besides itself is what `rustc --print native-static-libs` tells.
pc conductor-static '${libdir}/libconductor.a -lgcc_s -lutil -lrt -lpthread -lm -ldl'

echo "installed conductor $version below ${DESTDIR:-}$prefix"
