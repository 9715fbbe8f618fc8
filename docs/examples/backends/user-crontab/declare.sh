# Declares the crontab of each user; see crontab(5) and cron(8).
# shellcheck shell=bash disable=SC2154

crontabs=/var/spool/cron/crontabs

declare_crontab() {
  local crontab=$crontabs/$name
  if [[ $action == delete || -z ${fact[active]} || ${fact[access]} != shell ]]; then
    absent "$crontab"
    return
  fi
  # cron(8) wants the file to be the user's own, and notices it by itself.
  file "$crontab" "${fact[uid]}" crontab 0600 '# Made by Orchestra: what is written here by hand is shown by a dry run, and overwritten.
17 3 * * * /usr/bin/find tmp -mindepth 1 -mtime +7 -delete 2>/dev/null
'
}

need cron
each_object declare_crontab
# Others have crontabs there as well: ours are those that we have put there.
own file "$crontabs"
