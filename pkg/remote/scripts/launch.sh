# shellcheck shell=sh
# Becomes a program of the runtime's directory, or says that it is missing.
# Arguments: a word that begins each line for the panel (the login shell may
# print lines of its own before), "open" or "gated", the program, its arguments.
nonce=$1 gate=$2
shift 2
if [ "$gate" = gated ]; then
    # The login shell reads its input: it was given empty lines, and what is
    # left of them goes here.
    printf '\n%s ready\n' "$nonce"
    while :; do
        IFS= read -r line || exit 1
        [ "$line" = "$nonce begin" ] && break
    done
fi
if [ -x "$1" ]; then
    printf '\n%s found\n' "$nonce"
    exec "$@"
fi
printf '\n%s missing %s\n' "$nonce" "$(uname -m)"
