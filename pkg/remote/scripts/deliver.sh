# shellcheck shell=sh
# Puts one program, which comes over standard input, into the runtime's
# directory. It is there whole or not at all, whoever else delivers it too.
# Arguments: a word that begins each line for the panel, a mode that makes no
# difference here (it always waits to begin), the directory, the
# program's SHA-256, its size in bytes, how many versions stay.
set -u
umask 077
LC_ALL=C
export LC_ALL
nonce=$1 directory=$3 sum=$4 size=$5 keep=$6
versions=$directory/bin
place=$versions/$sum
part=

say() {
    printf '\n%s %s\n' "$nonce" "$1"
}

fail() {
    say "failed $1"
    exit 1
}

trap '[ -z "$part" ] || rm -f -- "$part"' EXIT
trap 'exit 1' HUP INT TERM PIPE

mkdir -p -- "$place" || fail directory
for each in "$directory" "$versions" "$place"; do
    [ -O "$each" ] || fail owner
    chmod 0700 -- "$each" || fail owner
done
part=$(mktemp -- "$place/part.XXXXXXXXXX") || fail space

say ready
while :; do
    IFS= read -r line || exit 1
    [ "$line" = "$nonce begin" ] && break
done
head -c "$size" >"$part" || fail space
[ "$(wc -c <"$part")" -eq "$size" ] || fail short

# What is checked is what lies there, while it travels on to the disk.
sync -- "$part" &
actual=$(sha256sum <"$part") || fail sum
[ "${actual%% *}" = "$sum" ] || fail sum
wait "$!" || fail space
chmod 0700 -- "$part" || fail space
mv -f -- "$part" "$place/orchestra" || fail space
part=
sync -- "$place" "$versions" || fail space
say 'done'

# Older versions go, but not one that runs.
find "$versions" -mindepth 2 -maxdepth 2 -type f -name 'part.*' -mmin +60 -delete
# The names are of hexadecimal digits only; others are passed over.
# shellcheck disable=SC2012
running=$(ls -l /proc/[0-9]*/exe 2>/dev/null)
count=0
# shellcheck disable=SC2045
for version in $(ls -1t -- "$versions"); do
    case $version in *[!0-9a-f]*) continue ;; esac
    [ "${#version}" -eq 64 ] || continue
    count=$((count + 1))
    [ "$count" -gt "$keep" ] || continue
    [ "$version" != "$sum" ] || continue
    case $running in *"$versions/$version/orchestra"*) continue ;; esac
    rm -f -- "$versions/$version/orchestra"
    rmdir -- "$versions/$version" 2>/dev/null
done
exit 0
