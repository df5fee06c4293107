# shellcheck shell=bash disable=SC2154 # lib.sh sets what is not set here
# Whether WAL that was received is whole. Recovery takes the first thing that it cannot read for the end, so damage in the middle
# would go unnoticed, and all that came after it would be missing.

refuse_damaged_wal() { # FOLDER TIMELINE LSN: unless it can be read from there to where it was cut off
  local fault _
  for _ in 1 2 3 4 5; do # the end of a stream that goes on may look torn for a moment
    fault=$(fault_in "$@")
    [[ -n $fault ]] || return 0
    sleep 1
  done
  die "The WAL in $1 $fault. What was before that can be restored: --to TIME."
}

fault_in() { # FOLDER TIMELINE LSN: what is wrong, in words that follow "The WAL"
  local copy said position newest segment
  segment=$(find "$1" -name '????????????????????????' ! -size 16777216c -printf '%f\n' | sort | head -n 1)
  [[ -z $segment ]] || { echo "is damaged: $segment has not its 16 MiB" && return; }
  copy=$(mktemp --directory "$backups/.segments.XXXX") # of names: they change while the stream goes on
  ln "$1"/????????????????????????* "$copy"
  newest=$(find "$copy" -type f -printf '%f\n' | sort | tail -n 1)
  [[ $newest != *.partial ]] || cp --remove-destination "$copy/$newest" "$copy/${newest%.partial}"
  newest=${newest%.partial}
  said=$(pg_waldump --quiet --path "$copy" --timeline "$2" --start "$3" 2>&1)
  position=$(grep -oE '[0-9A-F]+/[0-9A-F]+' <<<"$said" | tail -n 1)
  if [[ $said =~ 'could not find file "'([0-9A-F]{24})'"' ]]; then
    [[ ${BASH_REMATCH[1]} > $newest ]] || echo "lacks the segment ${BASH_REMATCH[1]}"
  elif [[ -z $position || $(segment_of "$2" "$position") != "$newest" ]] || ! ends_at "$copy/$newest" "$position"; then
    echo "is damaged: ${said##*error: }"
  fi
  rm -rf "$copy"
}

ends_at() { # SEGMENT LSN: is there nothing behind the record that begins there, which may have been cut off?
  local offset length
  offset=$((16#${2#*/} & 0xFFFFFF))
  length=$(od --address-radix n --format u4 --skip-bytes "$offset" --read-bytes 4 "$1")
  ((length == 0)) || length=$(((length < 1048576 ? length : 1048576) + 8192))
  ((offset + length < 16777216)) || return 0
  cmp --quiet --ignore-initial "$((offset + length)):0" --bytes "$((16777216 - offset - length))" "$1" /dev/zero
}
