#!/usr/bin/env bash
# See evms work on four disk images, without root: demo.sh BINARY. What is typed is shown, what it says follows.
set -euo pipefail
evms=$(realpath "${1:?usage: tests/demo.sh BINARY}")
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
disks=$(mktemp -d)
trap 'rm -rf "$disks"' EXIT
export EVMS_DISKS=a.img:b.img:c.img:d.img
unset EVMS_NODE

say() { printf '\n[%3d s] # %s\n' "$SECONDS" "$1"; }

# Shows a command, runs it, indents what it says.
show() {
  printf '[%3d s] $ %s\n' "$SECONDS" "$*"
  if [[ $1 == evms ]]; then shift && set -- "$evms" --node-file none "$@"; fi
  "$@" 2>&1 | sed 's/^/        /'
}

# The same for what has to be refused.
refused() {
  printf '[%3d s] $ %s\n' "$SECONDS" "$*"
  shift
  local said code=0
  said=$("$evms" --node-file none "$@" 2>&1) || code=$?
  sed 's/^/        /' <<<"$said"
  if ((code == 0)); then echo "demo.sh: this was to be refused" >&2 && exit 1; fi
  printf '        (exit code %d)\n' "$code"
}

cd "$disks"
say "four disks, as image files (EVMS_DISKS=$EVMS_DISKS)"
show truncate -s 64M a.img b.img c.img d.img

say "a private container over three of them, a linear and a striped volume in it"
show evms container create data --private a.img b.img c.img
show evms volume create data/home --size 40M
show evms volume create data/fast --size 30M --stripes 3
show evms list
show evms info data

say "what was said already is so already, and what would be written can be seen before"
show evms volume create data/home --size 40M
show evms volume create data/more --size 8M --dry-run

say "a disk that holds something is refused"
show cp d.img other.img
printf '\x53\xef' | dd of=other.img bs=1 seek=1080 conv=notrunc status=none
refused evms container expand data other.img

say "the plug is pulled at every write and every flush of a change, on copies; each time it is opened again"
(cd "$tree" && cargo test --quiet --locked --test plug -- "--evms=$evms" --only=stripes) | sed '/^ *$/d; s/^/        /'

say "the fourth disk joins, and a volume grows onto it"
show evms container expand data d.img
show evms volume expand data/home --size +100%FREE
show evms list

say "a disk is away while something is changed, comes back, and is taken back"
show mv b.img away
EVMS_DISKS=a.img:c.img:d.img show evms volume rename data/home house
show mv away b.img
show evms list containers
show evms container readmit data b.img

say "earlier states are kept, and come back"
show evms volume delete data/house
generation=$("$evms" --json history data | sed 's/.*"generation":\([0-9]*\),"kept_on":[^}]*"present":true.*/\1/')
show evms history data
show evms restore data --generation $((generation - 2))

say "every copy of everything is compared"
show evms check
say "done"
