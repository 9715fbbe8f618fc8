# Declares what should be on a server, for each object; nothing is done here.
# `orchestra backend facts user NAME` lists the facts there are.
# shellcheck shell=bash disable=SC2154

declare_object() {
  case $action in
    save) dir "/srv/example/$name" root root 0755 ;;
    delete) park "/srv/example/$name" ;;
  esac
}

dir /srv/example root root 0755
each_object declare_object
