#!/bin/sh
# Decrypts and unpacks one backup of art32, after checking all of it. It writes
# into a new folder only; putting the result into place is for a person, see
# RESTORE.md. Take this script from a copy that you trust: whoever can write
# where the backups lie could have changed the one beside them.
#
#   sh restore.sh RUN VAULT IDENTITY SIGNER OUT
#
# RUN       folder of the run, which holds MANIFEST.json
# VAULT     a folder of the vault, which holds tenants/ and keystores/
# IDENTITY  file with the age identity of a recovery recipient
# SIGNER    file with the signer's public key, "ssh-ed25519 AAAA...", from the
#           operator's records; "-" takes the one that the manifest names, which
#           finds damage and not forgery
# OUT       folder to be made: OUT/shared, OUT/keystore, OUT/tenants/*
set -eu
umask 077
die() { echo "restore.sh: $*" >&2; exit 1; }

[ $# -eq 5 ] || die "usage: sh restore.sh RUN VAULT IDENTITY SIGNER OUT"
run=$1 vault=$2 identity=$3 signer=$4 out=$5
for tool in age zstd tar ssh-keygen awk; do
	command -v "$tool" >/dev/null || die "$tool is missing"
done
if command -v sha256sum >/dev/null; then
	sums() { sha256sum -c --quiet -; }
else
	sums() { shasum -a 256 -c -; }
fi
[ -f "$run/MANIFEST.json" ] || die "$run holds no MANIFEST.json"
[ -f "$run/MANIFEST.json.sig" ] || die "$run is incomplete: it holds no MANIFEST.json.sig"
[ -d "$vault/tenants" ] || die "$vault is no folder of the vault"
[ -f "$identity" ] || die "$identity is missing"
[ ! -e "$out" ] || die "$out exists: name a new folder"

mkdir "$out" "$out/.work"
trap 'rm -rf "$out/.work"' EXIT
work=$out/.work
field() { awk -F'"' -v f="$1" '$2 == f { print $4; exit }' "$run/MANIFEST.json"; }

echo "1. signature"
if [ "$signer" = - ]; then
	echo "   the signer is not given: whoever wrote the backup vouches for it alone"
	key=$(field signer)
else
	key=$(cat "$signer")
fi
printf 'art32-backup %s\n' "$key" >"$work/allowed"
ssh-keygen -Y verify -q -f "$work/allowed" -I art32-backup -n art32-backup \
	-s "$run/MANIFEST.json.sig" <"$run/MANIFEST.json" || die "the signature is not that of the signer"
[ "$(field format)" = art32-backup/v1 ] || die "the manifest is of another format"

echo "2. digests of all files"
# Each object of the manifest has its name on one line and its digest below.
awk -F'"' '$2 == "name" { n = $4 } $2 == "sha256" && n != "" { print $4 "  " n; n = "" }' \
	"$run/MANIFEST.json" >"$work/files"
grep -v '  keystores/' "$work/files" >"$work/parts"
grep '  keystores/' "$work/files" >"$work/keystore" || die "the manifest names no copy of the keystore"
(cd "$run" && sums) <"$work/parts" || die "a file of the backup is damaged"
(cd "$vault" && sums) <"$work/keystore" || die "the copy of the keystore is missing or damaged"

# unpack IDENTITY FILE FOLDER. No pipe: each step is seen to its end before the
# next begins.
unpack() {
	age -d -i "$1" -o "$work/part.tar.zst" "$2" || die "$2 does not open with this identity"
	zstd -d -q -f -o "$work/part.tar" "$work/part.tar.zst" || die "$2 does not unpack"
	mkdir -p "$3"
	tar -x -f "$work/part.tar" -C "$3" || die "$2 does not unpack"
	rm -f "$work/part.tar" "$work/part.tar.zst"
}

echo "3. keystore"
unpack "$identity" "$vault/keystores/$(field run).tar.zst.age" "$out/keystore"
echo "4. what tenants share"
unpack "$identity" "$run/shared.tar.zst.age" "$out/shared"
echo "5. tenants"
awk '$2 ~ /^tenants\// { print $2 }' "$work/parts" >"$work/tenants"
while read -r part; do
	name=${part#tenants/}
	name=${name%.tar.zst.age}
	if [ -e "$vault/tenants/$name.forgotten" ]; then
		echo "   $name: its backups were given up for ever, left out"
		continue
	fi
	age -d -i "$identity" -o "$work/identity" "$vault/tenants/$name.identity.age" ||
		die "the identity of tenant $name does not open"
	unpack "$work/identity" "$run/$part" "$out/tenants/$name"
	rm -f "$work/identity"
done <"$work/tenants"
echo "done: $out. Go on with RESTORE.md: the erasures must be repeated before anybody uses it."
