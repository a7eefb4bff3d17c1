#!/usr/bin/env bash
# The one door: everything that is done to this tree is a verb here, at the desk and in CI alike.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

TARGET=x86_64-unknown-linux-musl
TARGET_ARM=aarch64-unknown-linux-musl
TARGET_FUZZ=x86_64-unknown-linux-gnu
RELEASE=target/$TARGET/release/evms
SIZE_MAX_BYTES=2097152
DENY_VERSION=0.20.2

# What the build needs, and what the tests need to make a disk that is somebody else's. The only list of packages.
PACKAGES_BUILD=(gcc libc6-dev clang pkg-config libdevmapper-dev file python3 jq util-linux iproute2 strace)
PACKAGES_DISKS=(bcache-tools bsdutils btrfs-progs cryptsetup-bin dosfstools drbd-utils e2fsprogs erofs-utils exfatprogs
  f2fs-tools fdisk genisoimage gfs2-utils grub-pc-bin jfsutils lvm2 mdadm mount mtools nilfs-tools ntfs-3g ocfs2-tools
  parted qemu-utils reiserfsprogs squashfs-tools thin-provisioning-tools udftools util-linux-extra xfsprogs)

# Debian puts mkfs, wipefs and their like where only root looks.
export PATH="$PATH:/usr/sbin:/sbin"
# pkg-config does not look for a musl libdevmapper unless told that crossing is meant.
export PKG_CONFIG_ALLOW_CROSS=1
# Rust brings its own musl, start files and linker for arm: no cross compiler is needed.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

help() {
  echo "usage: ./build.sh VERB"
  echo
  row "setup" "install what is missing: packages, targets, tools; says what, quiet when nothing is"
  row "test [--long]" "setup, check, every test, guests, the release with its size: what CI runs; --long: hours more"
  row "check" "format, clippy, tidy, licences; writes nothing in the tree"
  row "fix" "format and let clippy repair what it can"
  row "release" "the static binary, its size and kind; the arm build"
  if has demo; then row "demo [images|guest|cluster]" "see it work: on disk images, in a guest whose power is cut, in a cluster whose owner dies"; fi
  if has sim; then row "sim [COUNT] [--clusters [--copies] | --letters | --datagrams | --gates | --told [NAME]] [--from FIRST] | --seed SEED | --mistake NAME | --ledger [--gates] | --growth | --views" "clusters, letters, datagrams and gates, in virtual time against the laws, and faults told step by step; the long run goes on; what a node of 2 to 64 costs; memory under a million views"; fi
  if has crash; then row "crash [COUNT] [--from FIRST] | --seed SEED | --mistake NAME" "the crash model of disks against the laws"; fi
  row "cluster [NAME]..." "real daemons in network namespaces against deaths, cuts, weather and enemies (root)"
  if has vm; then row "vm [NAME]..." "tests in guests, under QEMU's software emulation and on user-mode machines: $(vm_names | paste -sd ' ')"; fi
  if has vm; then row "scripts [COUNT]" "scripts of faults on clusters of user-mode machines, EVMS_VM_LANES (4) beside each other; the ledger of 1000 goes on"; fi
  if has image; then row "image" "a bootable initramfs (busybox, evms, drivers) and its kernel, in target/image"; fi
  row "bench [NAME]" "measure: $(bench_names | paste -sd ' ')"
  row "fuzz [SECONDS [TARGET]] | keep" "fuzz each target so long (60); keep: take what it found new into the corpus"
  row "help" "this"
}

row() {
  if ((${#1} < 42)); then printf '  %-42s%s\n' "$1" "$2"; else printf '  %s\n  %-42s%s\n' "$1" "" "$2"; fi
}

die() { echo "build.sh: $1" >&2; exit "${2:-1}"; }

# Refuses words that the verb does not have: usage VERB MAX "$@"
usage() {
  local verb=$1 max=$2
  shift 2
  if (($# > max)); then die "$verb: '${*:max+1:1}' is one word too many; see ./build.sh help" 2; fi
}

# Verbs that later work brings exist when their file does.
has() {
  case $1 in
    demo) [[ -e tests/demo.sh ]] ;;
    crash) [[ -e tests/crash/main.rs ]] ;;
    sim) [[ -e tests/sim/main.rs ]] ;;
    vm) [[ -e vm-tests/Cargo.toml ]] ;;
    image) [[ -e image/init ]] ;;
  esac
}

# Runs one stage and says how long it took.
stage() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "-- $name: $((SECONDS - start)) s"
}

# ---- setup

setup() {
  setup_packages
  setup_rust
  setup_tools
}

missing_packages() {
  local have
  have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | sed -n 's/ installed$//p' || true)
  comm -23 <(printf '%s\n' "$@" | sort) <(sort <<<"$have")
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "'$*' has to be run as root, and there is no sudo"
  fi
}

setup_packages() {
  command -v dpkg-query >/dev/null || die "setup knows Debian only; install by hand: ${PACKAGES_BUILD[*]} ${PACKAGES_DISKS[*]}"
  local missing
  mapfile -t missing < <(missing_packages "${PACKAGES_BUILD[@]}" "${PACKAGES_DISKS[@]}")
  if ((${#missing[@]} == 0)); then return; fi
  echo "setup: installing packages: ${missing[*]}"
  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
  leave_out_unknown
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "${missing[@]}" >/dev/null
}

# Not every Debian carries every file system. The build cannot do without its packages; a disk that cannot be made
# is said, and the test that wants it says so again.
leave_out_unknown() {
  local package known=()
  for package in "${missing[@]}"; do
    if [[ -n $(apt-cache --quiet=0 policy "$package" 2>/dev/null | sed -n '/Candidate: [^(]/p') ]]; then
      known+=("$package")
    elif [[ " ${PACKAGES_BUILD[*]} " == *" $package "* ]]; then
      die "the package $package is needed and cannot be had from this machine's package sources"
    else
      echo "setup: NOT AVAILABLE here: $package; disks of its kind cannot be made for the tests" >&2
    fi
  done
  missing=("${known[@]}")
}

setup_rust() {
  if ! command -v rustup >/dev/null && [[ -x $HOME/.cargo/bin/rustup ]]; then export PATH="$HOME/.cargo/bin:$PATH"; fi
  if ! command -v rustup >/dev/null; then
    die "rustup is missing. Debian 13 and later: apt-get install rustup && rustup default stable. Debian 12 has no package:
  install it as its own web page says (stable, minimal profile suffices), then run this again"
  fi
  local have wanted target component
  have=$(rustup target list --installed)
  for target in "$TARGET" "$TARGET_ARM"; do
    if ! grep -qx "$target" <<<"$have"; then
      echo "setup: adding the Rust target $target"
      rustup --quiet target add "$target"
    fi
  done
  wanted=(rustfmt clippy rust-src)
  have=$(rustup component list --installed)
  for component in "${wanted[@]}"; do
    if ! grep -q "^$component" <<<"$have"; then
      echo "setup: adding the Rust component $component"
      rustup --quiet component add "$component"
    fi
  done
}

# Built without optimization: a minute from source on two cores instead of many, and it runs in a second all the same.
setup_tools() {
  if cargo deny --version >/dev/null 2>&1; then return; fi
  echo "setup: building cargo-deny $DENY_VERSION (about a minute)"
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug "cargo-deny@$DENY_VERSION" 2>&1 |
    sed '/be sure to add/d'
}

# ---- check, fix

check() {
  stage format cargo fmt --check
  stage clippy cargo clippy --quiet --locked --all-targets -- -D warnings
  if has vm; then stage "guest tests' format and clippy" vm_check; fi
  stage tidy cargo test --quiet --locked --test tidy
  stage licences licences
}

vm_check() {
  cargo fmt --check --manifest-path vm-tests/Cargo.toml
  vm_cargo clippy --all-targets -- -D warnings
}

# Licences, sources and duplicates need no network and are held. Advisories come from a list on the network: where
# that cannot be reached it is said and nothing is concluded from it; where it can, a finding fails.
licences() {
  cargo deny --log-level warn --locked check licenses bans sources
  local said
  if said=$(cargo deny --log-level warn --locked check advisories 2>&1); then
    echo "$said"
  elif [[ $said == *"failed to fetch advisory database"* ]]; then
    echo "advisories NOT CHECKED: their list is not reachable from here"
  else
    echo "$said"
    return 1
  fi
}

fix() {
  cargo fmt
  cargo clippy --fix --allow-dirty --allow-staged --all-targets
  cargo fmt
}

# ---- test

# What takes hours is not for every change: `test --long` has it behind everything else, and its ledgers are in the tree.
verb_test() {
  local long=${1:-}
  [[ -z $long || $long == --long ]] || die "test: '$long' is not known; see ./build.sh help" 2
  stage setup setup
  stage format cargo fmt --check
  stage clippy cargo clippy --quiet --locked --all-targets -- -D warnings
  if has vm; then stage "guest tests' format and clippy" vm_check; fi
  stage licences licences
  stage tests cargo test --locked
  if has crash; then stage "crash model" model crash; fi
  if has sim; then stage "simulated clusters" model sim; fi
  if has sim; then stage "what a node of 2 to 64 costs" model sim --growth; fi
  release
  if has vm; then stage "guest tests" vm_all; fi
  if [[ $long ]]; then test_long; fi
  echo "== all passed in $SECONDS s"
}

test_long() {
  stage "crash model, long" model crash --long
  stage "a million changes of the view" model sim --views
  EVMS_CLUSTER_LONG=1 stage "ten minutes of busy processors, and of a flapping link" cargo test --locked --test cluster -- f24_ f7_
  EVMS_VM_LONG=1 stage "fifty power cuts" vm_cargo test --test power_cut -- --nocapture
  EVMS_VM_LONG=1 stage "24 scripts of faults" vm_cargo test --test scripts -- --nocapture
  stage "what is left of a thousand scripts of faults" many_scripts 1000
}

# The crash model of disks, or the simulator of clusters, with its deliberate mistakes, at full speed and with every assertion.
model() {
  local name=$1 words=()
  shift
  has "$name" || die "$name: not built yet"
  while (($#)); do
    case $1 in
      --told)
        words+=("$1")
        if [[ ${2:-} && ${2:-} != -* ]]; then
          words+=("$2")
          shift
        fi
        ;;
      --from | --seed | --mistake)
        [[ ${2:-} ]] || die "$name: '$1' wants a value; see ./build.sh help" 2
        words+=("$1" "$2")
        shift
        ;;
      [0-9]* | --long | --clean | --letters | --datagrams | --gates | --clusters | --copies | --speed | --ledger | --growth | --views) words+=("$1") ;;
      *) die "$name: '$1' is not known; see ./build.sh help" 2 ;;
    esac
    shift
  done
  EVMS_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || echo unknown) \
    cargo test --locked --profile sim --features mistakes --test "$name" -- "${words[@]}"
}

# ---- release

release() {
  stage "release $TARGET" build_release
  stage "release $TARGET_ARM (build check)" cargo build --quiet --locked --release --target "$TARGET_ARM"
}

# The standard library is built along, for size and without the reader of debug tables that a stripped binary has no use
# for: 310 KB less than with the one that rustup brings. Cargo calls that unstable; what is built is the stable library.
# A plain `cargo build --release` makes the same program, only larger.
cargo_release() {
  RUSTC_BOOTSTRAP=1 cargo build --quiet --locked --release --target "$TARGET" --config .cargo/release.toml \
    -Z build-std=std,panic_abort -Z build-std-features=
}

build_release() {
  cargo_release
  local kind size
  kind=$(file -b "$RELEASE")
  [[ $kind == *static-pie* ]] || die "$RELEASE is not static-pie: $kind"
  size=$(stat -c %s "$RELEASE")
  echo "$RELEASE: static-pie, $size bytes of $SIZE_MAX_BYTES"
  ((size <= SIZE_MAX_BYTES)) || die "the binary is $((size - SIZE_MAX_BYTES)) bytes over its budget"
}

# On four image files, every point of a change cut; in a guest, with the cord pulled; in a cluster of guests. Or one of them.
demo() {
  has demo || die "demo: not built yet"
  stage release build_release
  case ${1:-all} in
    images) tests/demo.sh "$RELEASE" ;;
    guest) demo_guest demo ;;
    cluster) demo_guest demo_cluster ;;
    all) tests/demo.sh "$RELEASE" && demo_guest demo && demo_guest demo_cluster ;;
    *) die "demo: there is no '$1'; there is: cluster, guest, images" 2 ;;
  esac
}

# ---- guests

vm_names() { find vm-tests/tests -name '*.rs' -printf '%f\n' | sed 's/\.rs$//' | sort; }

vm_cargo() { CARGO_TARGET_DIR=target/vm/build cargo "$1" --quiet --locked --manifest-path vm-tests/Cargo.toml "${@:2}"; }

# What guests run besides: small programs in C, static, for what no tool does or what is measured beside evms.
vm_programs() {
  local source folder=target/vm/programs
  mkdir -p "$folder"
  for source in vm-tests/guest/*.c vm-tests/bench/*.c; do
    gcc -O2 -Wall -Wextra -static -pthread -o "$folder/$(basename "$source" .c)" "$source"
  done
}

vm() {
  has vm || die "vm: not built yet"
  local name names known
  mapfile -t known < <(vm_names)
  names=("$@")
  if (($# == 0)); then names=("${known[@]}"); fi
  for name in "${names[@]}"; do
    [[ " ${known[*]} " == *" $name "* ]] || die "vm: there is no '$name'; there is: ${known[*]}" 2
  done
  build_release
  vm-tests/parts.sh
  vm_programs
  for name in "${names[@]}"; do
    EVMS_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || echo unknown) \
      stage "guest tests: $name" vm_cargo test --test "$name" -- --test-threads=1 --nocapture
  done
}

# Clusters of emulated guests: one of these at a time, for each has three guests that must hear each other in time.
VM_CLUSTERS="stopped gates owners agents two scripts"
# Clusters of user-mode machines take a third of a processor: beside an emulated cluster, or beside each other.
VM_USER_MODE="takeover cuts lost many_scripts asked cold steady power stale"

# All of them, two at a time: a guest is one processor's work. The longest first, so that none is left alone at the end, and those last that
# may be beside anything.
vm_all() {
  local names
  vm-tests/parts.sh
  vm_programs
  vm_cargo test --lib --no-run && vm_cargo test --tests --no-run
  vm_cargo test --lib
  mapfile -t names < <(vm_names | awk -v clusters="$VM_CLUSTERS" -v user_mode="$VM_USER_MODE" '
    BEGIN {
      split("faults power_cut replay appliance activation udev san network", first); for (i in first) rank[first[i]] = i
      count = split(user_mode, last); for (i = 1; i <= count; i++) rank[last[i]] = 100 + i
      split(clusters, all); for (i in all) cluster[all[i]] = 1
    }
    # Scripts on user-mode machines belong to the ledger; one is played here, on emulated ones.
    $0 == "many_scripts" { next }
    !($0 in cluster) { print ($0 in rank ? rank[$0] : 99), $0 }' | sort -n | cut -d' ' -f2)
  printf '%s\n' "${VM_CLUSTERS// /+}" "${names[@]}" |
    EVMS_VM_SLOW=${EVMS_VM_SLOW:-3} xargs -P 2 -I NAME ./build.sh vm-one NAME
}

# One of several at a time, or some of them (A+B) one after the other: what each says is shown when it ends, in one piece.
vm_one() {
  local name failed=0
  for name in ${1//+/ }; do
    local begin=$SECONDS said=target/vm/$name.said code=0
    vm_cargo test --test "$name" -- --test-threads=1 --nocapture >"$said" 2>&1 || code=$?
    { echo "-- guest tests: $name: $((SECONDS - begin)) s"; cat "$said"; } | flock target/vm cat
    # 255 would be the word for xargs to stop at once.
    ((code == 0)) || failed=1
  done
  return $failed
}

# So many more seeds of the ledger, on as many clusters beside each other as two processors take with nothing else on them.
many_scripts() {
  EVMS_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || echo unknown) EVMS_VM_SCRIPTS=$1 \
    EVMS_VM_LANES=${EVMS_VM_LANES:-4} vm_cargo test --test many_scripts -- --nocapture
}

scripts() {
  local count=${1:-1000}
  has vm || die "scripts: not built yet"
  [[ $count =~ ^[0-9]+$ ]] || die "scripts: '$count' is no number of scripts" 2
  build_release
  vm-tests/parts.sh
  vm_programs
  stage "scripts of faults on user-mode machines" many_scripts "$count"
}

image() {
  has image || die "image: not built yet"
  build_release
  vm-tests/parts.sh
  vm_cargo run --bin image -- target/image
}

demo_guest() {
  vm-tests/parts.sh
  vm_cargo run --bin "$1"
}

# ---- bench

GUEST_BENCHES="activation closing discovery throughput"

bench_names() {
  { find tests/bench -name '*.py' -printf '%f\n' | sed 's/\.py$//'; if has vm; then printf '%s\n' $GUEST_BENCHES; fi; } | sort
}

# In a guest: evms beside the least that would do, and beside LVM.
bench_guest() {
  vm-tests/parts.sh
  vm_programs
  vm_cargo run --bin bench -- "$1" target/vm/programs
}

# Who is measured beside ours: Corosync is installed where it can be had, and else it is said that it is not there.
bench_cluster_setup() {
  local missing
  mapfile -t missing < <(missing_packages corosync libcpg-dev iproute2 util-linux gcc)
  if ((${#missing[@]} == 0)); then return; fi
  echo "bench cluster: installing packages: ${missing[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "${missing[@]}" >/dev/null || true
}

bench() {
  local name names
  mapfile -t names < <(bench_names)
  if (($#)); then
    [[ " ${names[*]} " == *" $1 "* ]] || die "bench: there is no '$1'; there is: ${names[*]}" 2
    names=("$1")
  fi
  # How large it may be is said by release; here it is only how fast.
  cargo_release
  for name in "${names[@]}"; do
    if [[ $name == cluster ]]; then bench_cluster_setup; fi
    if [[ " $GUEST_BENCHES " == *" $name "* ]]; then bench_guest "$name"; else python3 "tests/bench/$name.py" "$RELEASE"; fi
  done
}

# ---- fuzz

# Coverage feedback for libFuzzer from the stable compiler: the pass is LLVM's own, only the short name of it is
# not stable. Given for one target, so that build scripts are built without it.
FUZZ_FLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1"
FUZZ_INPUT_BYTES_MAX=4096

fuzz_targets() { find tests/fuzz/src/bin -name '*.rs' -printf '%f\n' | sed 's/\.rs$//' | sort; }

fuzz_binary() { echo "target/fuzz/$TARGET_FUZZ/release/$1"; }

fuzz() {
  local seconds=${1:-60} target targets
  mapfile -t targets < <(fuzz_targets)
  if (($# > 1)); then
    [[ " ${targets[*]} " == *" $2 "* ]] || die "fuzz: there is no target '$2'; there is: ${targets[*]}" 2
    targets=("$2")
  fi
  [[ $seconds == keep || $seconds =~ ^[0-9]+$ ]] || die "fuzz: '$seconds' is no number of seconds" 2
  CXX=${CXX:-clang++} CARGO_TARGET_DIR=target/fuzz RUSTFLAGS=$(tr -s ' \n' ' ' <<<"$FUZZ_FLAGS") \
    cargo build --quiet --locked --release --manifest-path tests/fuzz/Cargo.toml --target "$TARGET_FUZZ"
  for target in "${targets[@]}"; do
    if [[ $seconds == keep ]]; then fuzz_keep "$target"; else fuzz_one "$target" "$seconds"; fi
  done
}

# New inputs go under target/, what failed too; the corpus in the tree is only read.
fuzz_one() {
  local target=$1 seconds=$2
  mkdir -p "target/fuzz/corpus/$target" "target/fuzz/found" "tests/fuzz/corpus/$target"
  stage "fuzz $target, $seconds s" "$(fuzz_binary "$target")" -max_total_time="$seconds" \
    -max_len="$FUZZ_INPUT_BYTES_MAX" -artifact_prefix="target/fuzz/found/$target-" -print_final_stats=1 -verbosity=0 \
    "target/fuzz/corpus/$target" "tests/fuzz/corpus/$target"
}

# The corpus kept in the tree is the smallest set that reaches everything both sets reach.
fuzz_keep() {
  local target=$1 smallest
  smallest=$(mktemp -d)
  mkdir -p "target/fuzz/corpus/$target"
  "$(fuzz_binary "$target")" -set_cover_merge=1 -verbosity=0 "$smallest" "tests/fuzz/corpus/$target" \
    "target/fuzz/corpus/$target" 2>/dev/null
  rm -rf "tests/fuzz/corpus/$target"
  mv "$smallest" "tests/fuzz/corpus/$target"
  chmod 755 "tests/fuzz/corpus/$target"
  echo "tests/fuzz/corpus/$target: $(find "tests/fuzz/corpus/$target" -type f | wc -l) inputs"
}

# ---- the door

verb=${1:-}
if (($#)); then shift; fi
case $verb in
  setup | release | check | fix | image) usage "$verb" 0 "$@" && "$verb" ;;
  test) usage test 1 "$@" && verb_test "$@" ;;
  vm-one) vm_one "$1" ;;
  demo) usage demo 1 "$@" && demo "$@" ;;
  sim | crash) model "$verb" "$@" ;;
  cluster) cargo test --locked --test cluster -- "$@" ;;
  vm) vm "$@" ;;
  scripts) usage scripts 1 "$@" && scripts "$@" ;;
  bench) usage bench 1 "$@" && bench "$@" ;;
  fuzz) usage fuzz 2 "$@" && fuzz "$@" ;;
  help | --help | -h) help ;;
  "") help >&2 && exit 2 ;;
  *) die "unknown verb '$verb'; see ./build.sh help" 2 ;;
esac
