#!/bin/sh
# Decrypts and unpacks one backup of art32, after checking all of it. It writes
# into a new folder only; putting the result into place is for a person, see
# RESTORE.md. Take this script from a copy that you trust: whoever can write
# where the backups lie could have changed the one beside them.
#
#   sh restore.sh RUN VAULT IDENTITY SIGNER OUT
#
# RUN       folder of the run, under the run's own name; it holds MANIFEST.json
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
trap 'exit 129' HUP # a shell may leave without its EXIT otherwise
trap 'exit 130' INT
trap 'exit 143' TERM
work=$out/.work
# Whatever is read is copied first: what was checked is what is used.
cp "$run/MANIFEST.json" "$work/MANIFEST.json"
cp "$run/MANIFEST.json.sig" "$work/MANIFEST.json.sig"
field() { awk -F'"' -v f="$1" '$2 == f { print $4; exit }' "$work/MANIFEST.json"; }

echo "1. signature"
if [ "$signer" = - ]; then
	echo "   the signer is not given: whoever wrote the backup vouches for it alone"
	key=$(field signer)
else
	key=$(cat "$signer")
fi
printf 'art32-backup %s\n' "$key" >"$work/allowed"
ssh-keygen -Y verify -q -f "$work/allowed" -I art32-backup -n art32-backup \
	-s "$work/MANIFEST.json.sig" <"$work/MANIFEST.json" || die "the signature is not that of the signer"
[ "$(field format)" = art32-backup/v1 ] || die "the manifest is of another format"
name=$(field run)
[ "$(basename "$(cd "$run" && pwd -P)")" = "$name" ] ||
	die "the folder $run holds the run $name: somebody exchanged them, or give it its name back"
echo "   run $name, ended $(field ended)"

echo "2. digests of all files"
# Each object of the manifest has its name on one line and its digest below.
awk -F'"' '$2 == "name" { n = $4 } $2 == "sha256" && n != "" { print $4 "  " n; n = "" }' \
	"$work/MANIFEST.json" >"$work/files"
grep -v '  keystores/' "$work/files" >"$work/parts"
grep '  keystores/' "$work/files" >"$work/keystore" || die "the manifest names no copy of the keystore"
(cd "$run" && sums) <"$work/parts" || die "a file of the backup is damaged"
(cd "$vault" && sums) <"$work/keystore" || die "the copy of the keystore is missing or damaged"

# unpack IDENTITY FOLDER FILE TO copies FOLDER/FILE, checks the copy and opens it.
# No pipe: each step is seen to its end before the next begins.
unpack() {
	rm -rf "$work/one"
	mkdir -p "$(dirname "$work/one/$3")" "$4"
	cp "$2/$3" "$work/one/$3"
	awk -v n="$3" '$2 == n' "$work/files" >"$work/sum"
	[ -s "$work/sum" ] || die "the manifest does not name $3"
	(cd "$work/one" && sums) <"$work/sum" || die "$3 was changed while it was read"
	age -d -i "$1" -o "$work/part.tar.zst" "$work/one/$3" || die "$3 does not open with this identity"
	zstd -d -q -f -o "$work/part.tar" "$work/part.tar.zst" || die "$3 does not unpack"
	tar -x -f "$work/part.tar" -C "$4" || die "$3 does not unpack"
	rm -rf "$work/one" "$work/part.tar" "$work/part.tar.zst"
}

# forgotten NAME: whether the signer gave up the backups of a tenant.
forgotten() {
	[ -e "$vault/tenants/$1.forgotten" ] || return 1
	cp "$vault/tenants/$1.forgotten" "$work/forgotten" || die "the tombstone of tenant $1 cannot be read"
	cp "$vault/tenants/$1.forgotten.sig" "$work/forgotten.sig" || die "the tombstone of tenant $1 is not signed: somebody may have laid it there. Take the vault's other folder"
	ssh-keygen -Y verify -q -f "$work/allowed" -I art32-backup -n art32-vault \
		-s "$work/forgotten.sig" <"$work/forgotten" || die "the tombstone of tenant $1 is not signed by the signer: take the vault's other folder"
	grep -q '"format": *"art32-forgotten/v1"' "$work/forgotten" || die "the tombstone of tenant $1 is another record: take the vault's other folder"
	grep -q "\"tenant\": *\"$1\"" "$work/forgotten" || die "the tombstone of tenant $1 is that of another"
}

echo "3. keystore"
unpack "$identity" "$vault" "keystores/$name.tar.zst.age" "$out/keystore"
echo "4. what tenants share"
unpack "$identity" "$run" shared.tar.zst.age "$out/shared"
echo "5. tenants"
awk '$2 ~ /^tenants\// { print $2 }' "$work/parts" >"$work/tenants"
while read -r part; do
	tenant=${part#tenants/}
	tenant=${tenant%.tar.zst.age}
	if forgotten "$tenant"; then
		echo "   $tenant: its backups were given up for ever, left out"
		continue
	fi
	age -d -i "$identity" -o "$work/identity" "$vault/tenants/$tenant.identity.age" ||
		die "the identity of tenant $tenant does not open"
	unpack "$work/identity" "$run" "$part" "$out/tenants/$tenant"
	rm -f "$work/identity"
done <"$work/tenants"
echo "done: $out. Go on with RESTORE.md: the erasures must be repeated (art32 backup replay) before anybody uses it."
