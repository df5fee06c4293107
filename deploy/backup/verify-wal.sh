# shellcheck shell=bash disable=SC2154 # lib.sh sets the other variables
# Verifies received WAL. Recovery treats the first unreadable record as the end, so it would silently drop everything
# after damage in the middle.

require_intact_wal() { # FOLDER TIMELINE LSN: it is readable from there to its end
  local problem _
  for _ in 1 2 3 4 5; do # the end of a live stream may look torn for a moment
    problem=$(find_wal_problem "$@")
    [[ -n $problem ]] || return 0
    sleep 1
  done
  die "The WAL in $1 $problem. An earlier time can be restored: --to TIME."
}

find_wal_problem() { # FOLDER TIMELINE LSN: completes the sentence "The WAL …"
  local copy output position newest segment
  segment=$(find "$1" -name '????????????????????????' ! -size 16777216c -printf '%f\n' | sort | head -n 1)
  [[ -z $segment ]] || { echo "is damaged: $segment is not 16 MiB" && return; }
  copy=$(mktemp --directory "$backups/.segments.XXXX") # hard links, because a live stream renames segments
  ln "$1"/????????????????????????* "$copy"
  newest=$(find "$copy" -type f -printf '%f\n' | sort | tail -n 1)
  [[ $newest != *.partial ]] || cp --remove-destination "$copy/$newest" "$copy/${newest%.partial}"
  newest=${newest%.partial}
  output=$(pg_waldump --quiet --path "$copy" --timeline "$2" --start "$3" 2>&1)
  position=$(grep -oE '[0-9A-F]+/[0-9A-F]+' <<<"$output" | tail -n 1)
  if [[ $output =~ 'could not find file "'([0-9A-F]{24})'"' ]]; then
    [[ ${BASH_REMATCH[1]} > $newest ]] || echo "lacks segment ${BASH_REMATCH[1]}"
  elif [[ -z $position || $(segment_of "$2" "$position") != "$newest" ]] || ! is_end "$copy/$newest" "$position"; then
    echo "is damaged: ${output##*error: }"
  fi
  rm -rf "$copy"
}

is_end() { # SEGMENT LSN: only zeros follow the record there, which may itself be cut off
  local offset length
  offset=$((16#${2#*/} & 0xFFFFFF))
  length=$(od --address-radix n --format u4 --skip-bytes "$offset" --read-bytes 4 "$1")
  ((length == 0)) || length=$(((length < 1048576 ? length : 1048576) + 8192))
  ((offset + length < 16777216)) || return 0
  cmp --quiet --ignore-initial "$((offset + length)):0" --bytes "$((16777216 - offset - length))" "$1" /dev/zero
}
