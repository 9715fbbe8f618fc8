# Notes when it was done and undone.
# shellcheck shell=bash disable=SC2154

declare_one() {
  [[ $action != save ]] || act ordered "$name" probe_ordered do_ordered undo_ordered reversible
}

each_object declare_one
check check_ordered
