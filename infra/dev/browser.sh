#!/bin/sh
# Prints the path of a browser that the portal's tests can drive, and nothing else, on standard output.
# What it does is told on standard error. It always ends with 0: without a browser the tests skip, and
# the reason printed here is the reason they give.
#
#   1. a Chromium or Chrome on PATH, or one that Playwright has downloaded before;
#   2. as root with apt-get: Debian's chromium;
#   3. else Playwright's own download;
#   4. else an empty line, and why.
#
# CHRONO_BROWSER=/path/to/browser is taken as it is. CHRONO_BROWSER_INSTALL=0 only looks.
set -u

python=${PYTHON:-python3}
log=$(mktemp) && trap 'rm -f "$log"' EXIT

say() { printf 'browser.sh: %s\n' "$*" >&2; }

runs() { [ -x "$1" ] && "$1" --version >/dev/null 2>&1; }

found() {
    printf '%s\n' "$1"
    exit 0
}

look() {
    for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        path=$(command -v "$name" 2>/dev/null) && runs "$path" && found "$path"
    done
    for path in "${PLAYWRIGHT_BROWSERS_PATH:-$HOME/.cache/ms-playwright}"/chromium-*/chrome-linux*/chrome; do
        runs "$path" && found "$path"
    done
}

if [ -n "${CHRONO_BROWSER:-}" ]; then
    runs "$CHRONO_BROWSER" && found "$CHRONO_BROWSER"
    say "CHRONO_BROWSER=$CHRONO_BROWSER does not run; looking for another"
fi
look

if [ "${CHRONO_BROWSER_INSTALL:-1}" = 0 ]; then
    say "no chromium or chrome on PATH, and CHRONO_BROWSER_INSTALL=0 forbids to install one"
    exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "installing Debian's chromium with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    if timeout 300 apt-get update -q >"$log" 2>&1 &&
        timeout 900 apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core >>"$log" 2>&1; then
        look
        say "chromium was installed but does not run"
    else
        say "apt-get could not install it: $(tail -n 1 "$log")"
    fi
fi

if "$python" -c 'import playwright' >/dev/null 2>&1; then
    say "installing Playwright's chromium for $python"
    if timeout 900 "$python" -m playwright install chromium >"$log" 2>&1; then
        look
        say "Playwright's chromium was downloaded but does not run: install its libraries with" \
            "'$python -m playwright install-deps chromium' as root"
    else
        say "Playwright could not download it: $(tail -n 1 "$log")"
    fi
else
    say "$python has no playwright, so its download was not tried"
fi

say "no browser: the portal's browser tests will be skipped"
exit 0
