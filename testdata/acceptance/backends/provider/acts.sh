# What the provider is asked and told. It is a folder; a file "down" in it is
# its fault of the day.
# shellcheck shell=bash disable=SC2154

nothing() { :; }

probe_join() { probe "$1" joined "$@"; }
probe_leave() { probe "$1" left "$@"; }

probe() {
  local key wanted=$2
  for key in "${@:3}"; do
    if [[ -e /root/provider/$key ]]; then state "$key" joined "$wanted"; else state "$key" left "$wanted"; fi
  done
}

join() {
  local key
  [[ ! -e /root/provider/down ]] || fail 'the provider does not answer'
  for key in "$@"; do printf 'x' >"/root/provider/$key"; done
}

leave() {
  local key
  [[ ! -e /root/provider/down ]] || fail 'the provider does not answer'
  for key in "$@"; do find "/root/provider/$key" -delete; done
}
