#!/bin/sh
# Prints the path of anvil, the test node that `chrono up --chain local` and the chain's tests need, and
# nothing else, on standard output. What it does is told on standard error. It always ends with 0: without
# anvil those tests skip and say so.
#
#   1. CHRONO_ANVIL=/path/to/anvil, if it runs;
#   2. anvil on PATH;
#   3. with npm: @foundry-rs/anvil, at an exact version, into .cache/anvil (CHRONO_ANVIL_INSTALL=0 forbids it);
#   4. else an empty line, and why.
set -u

version=1.7.1
folder=.cache/anvil

say() { printf 'anvil.sh: %s\n' "$*" >&2; }

runs() { [ -x "$1" ] && "$1" --version >/dev/null 2>&1; }

found() {
    printf '%s\n' "$1"
    exit 0
}

look() {
    for path in "$folder"/node_modules/@foundry-rs/anvil-*/bin/anvil; do
        runs "$path" && found "$PWD/$path"
    done
}

if [ -n "${CHRONO_ANVIL:-}" ]; then
    runs "$CHRONO_ANVIL" && found "$CHRONO_ANVIL"
    say "CHRONO_ANVIL=$CHRONO_ANVIL does not run; looking for another"
fi
path=$(command -v anvil 2>/dev/null) && runs "$path" && found "$path"
look

if [ "${CHRONO_ANVIL_INSTALL:-1}" = 0 ]; then
    say "no anvil on PATH, and CHRONO_ANVIL_INSTALL=0 forbids to install one"
elif command -v npm >/dev/null 2>&1; then
    say "installing @foundry-rs/anvil@$version into $folder"
    mkdir -p "$folder"
    if timeout 300 npm install --prefix "$folder" --no-save --no-audit --no-fund --silent \
        "@foundry-rs/anvil@$version" >&2; then
        look
        say "anvil was installed but does not run"
    else
        say "npm could not install it"
    fi
else
    say "no anvil on PATH, and no npm to get it with"
fi
printf '\n'
