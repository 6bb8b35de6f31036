#!/bin/sh
# OPAQUE needs libsodium's ristretto255. Install Debian's package where that is possible, else say the one command.
set -u
"$1" -c 'import ctypes.util, sys; sys.exit(0 if ctypes.util.find_library("sodium") else 1)' && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get install -y -qq libsodium23 >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq libsodium23; }
    exit $?
fi
echo "strongroom needs libsodium 1.0.18 or newer. Install it with one of:" >&2
echo "    sudo apt-get install libsodium23      (Debian, Ubuntu)" >&2
echo "    sudo dnf install libsodium            (Fedora)" >&2
echo "    brew install libsodium                (macOS)" >&2
exit 1
