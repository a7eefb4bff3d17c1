#!/usr/bin/env bash
# Fetches what guests are made of (qemu, Debian's cloud kernel with its modules, the kernel that is a process, busybox, udev
# and the rules of device mapper, a SAN) into target/vm, as files.
# Nothing is installed: installing qemu-system-x86 could take the machine's own qemu-utils away.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

HOME_OF_PARTS=target/vm
KERNEL=linux-image-cloud-amd64
# Asked for by name too: where they are installed already, apt does not print where they would come from.
ALWAYS=(qemu-system-x86 qemu-system-common qemu-system-data seabios ipxe-qemu busybox-static kmod udev dmsetup
  qemu-block-extra libiscsi7 tgt sg3-utils user-mode-linux)
# What the kernel's package wants for booting a machine that it is installed on.
NEEDLESS='^(initramfs-tools|klibc-utils|libklibc|cpio|linux-base|linux-image-cloud)'
# What other kinds of network disks want than iSCSI, and the scripts that come with the SAN.
NEEDLESS+='|^(libboost|libfmt|libgf|libglusterfs|libnfs|librados|librbd|libssh|libconfig-general-perl)'

die() { echo "parts.sh: $1" >&2; exit 1; }

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "'$*' has to be run as root, and there is no sudo"
  fi
}

# Changes whenever this file does: then everything is fetched anew.
stamp() { sha256sum vm-tests/parts.sh | cut -d' ' -f1; }

ask_apt() {
  apt-get install --print-uris -qq --no-install-recommends qemu-system-x86 "$KERNEL" busybox-static \
    qemu-block-extra tgt sg3-utils
}

# Names of the packages that this machine does not have yet, libraries of qemu among them.
missing_names() {
  local uris
  uris=$(ask_apt 2>/dev/null) || {
    as_root apt-get -qq update >&2
    uris=$(ask_apt) || die "apt cannot say where qemu-system-x86 and $KERNEL come from"
  }
  awk 'NF { split($2, part, "_"); print part[1] }' <<<"$uris"
}

# The kernel's package has its version in its name; the one without is empty.
kernel_name() { apt-cache depends "$KERNEL" | awk '$1 == "Depends:" && /linux-image-/ { print $2; exit }'; }

names() {
  { missing_names; kernel_name; printf '%s\n' "${ALWAYS[@]}"; } | grep -Ev "$NEEDLESS" | sort -u
}

fetch() {
  rm -rf "$HOME_OF_PARTS/debs"
  mkdir -p "$HOME_OF_PARTS/debs"
  (cd "$HOME_OF_PARTS/debs" && apt-get -qq download "$@" 2> >(grep -v 'unsandboxed' >&2))
}

unpack() {
  local root=$1 deb
  rm -rf "$root"
  mkdir -p "$root"
  for deb in "$HOME_OF_PARTS"/debs/*.deb; do dpkg -x "$deb" "$root"; done
}

# kmod is many programs; it goes by the name that it is called by. Its folder is /bin or, later, /usr/bin.
index_modules() {
  local root=$1 base=$1 kmod
  if [[ ! -d $root/lib/modules ]]; then base=$root/usr; fi
  for kmod in "$root/bin/kmod" "$root/usr/bin/kmod"; do
    if [[ -x $kmod ]]; then ln -sf kmod "$(dirname "$kmod")/depmod" && break; fi
  done
  "$(dirname "$kmod")/depmod" -b "$base" "$(ls "$base/lib/modules")"
}

fetch_all() {
  local wanted
  mapfile -t wanted < <(names)
  ((${#wanted[@]} >= ${#ALWAYS[@]})) || die "the list of packages could not be made"
  echo "vm parts: fetching ${#wanted[@]} packages (qemu, kernel, busybox, tgt) into $HOME_OF_PARTS; nothing is installed"
  fetch "${wanted[@]}"
  unpack "$HOME_OF_PARTS/root.new"
  index_modules "$HOME_OF_PARTS/root.new"
  rm -rf "$HOME_OF_PARTS/root"
  mv "$HOME_OF_PARTS/root.new" "$HOME_OF_PARTS/root"
  stamp >"$HOME_OF_PARTS/stamp"
}

if [[ $(cat "$HOME_OF_PARTS/stamp" 2>/dev/null) == "$(stamp)" ]]; then
  echo "vm parts: in $HOME_OF_PARTS already"
else
  fetch_all
fi
