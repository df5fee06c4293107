# shellcheck shell=bash
# Whether WAL that was received is whole. Recovery takes the first thing that it cannot read for the end, so damage in the middle
# would go unnoticed, and all that came after it would be missing.

refuse_damaged_wal() { # FOLDER TIMELINE LSN: unless it can be read from there to where it was cut off
  local links said position newest segment
  links=$(mktemp --directory)
  for segment in "$1"/????????????????????????*; do
    ln -s "$segment" "$links/$(basename "$segment" .partial)"
  done
  newest=$(find "$links" -name '????????????????????????' -printf '%f\n' | sort | tail -n 1)
  said=$(pg_waldump --quiet --path "$links" --timeline "$2" --start "$3" 2>&1) || true
  if [[ $said =~ 'could not find file "'([0-9A-F]{24})'"' ]]; then
    segment=${BASH_REMATCH[1]}
    [[ $segment > $newest ]] || die "The WAL in $1 lacks the segment $segment. What was before it can be restored: --to TIME."
    return 0
  fi
  position=$(grep -oE '[0-9A-F]+/[0-9A-F]+' <<<"$said" | tail -n 1)
  if [[ -z $position || $(segment_of "$2" "$position") != "$newest" ]] || ! ends_at "$links/$newest" "$position"; then
    die "The WAL in $1 is damaged: ${said##*error: }. What was before that can be restored: --to TIME."
  fi
}

ends_at() { # SEGMENT LSN: is there nothing behind the record that begins there, which may have been cut off?
  local offset length
  offset=$((16#${2#*/} & 0xFFFFFF))
  length=$(od --address-radix n --format u4 --skip-bytes "$offset" --read-bytes 4 "$1")
  ((length == 0)) || length=$(((length < 1048576 ? length : 1048576) + 8192))
  cmp --quiet --ignore-initial "$((offset + length)):0" --bytes "$((16777216 - offset - length))" "$1" /dev/zero
}
