#!/usr/bin/env bash
# The long crash test: kills (-9) an ingest of FILES small files KILLS times at random moments, each time
# followed by a restart, and compares the end with an undisturbed run: `fontes check` proves that ledger, Qdrant
# and Tantivy hold the same chunk ids each time, and its digest of them must be that of the undisturbed run.
# In odd rounds the moment lies anywhere within the time the undisturbed run took; in even rounds within its first
# second, so that openings and recoveries are hit too. When all is ingested, everything is changed: files are
# written anew, moved and deleted.
#   tests/kill.sh [FONTES_BINARY] ; KILLS=50 FILES=500 by default
set -euo pipefail
fontes=${1:-target/release/fontes}
kills=${KILLS:-50} files=${FILES:-500}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
mkdir "$work/documents"

write() { # write ROUND: every file, with the round in it
  for ((i = 0; i < files; i++)); do
    printf '# Akte %d\n\nRegal %d, Fall %d, Runde %d.\n' "$i" $((i % 7)) $((i * 13)) "$1" \
      >"$work/documents/$(printf %04d "$i").md"
  done
}

field() { # field NAME: a number or string of the JSON on standard input
  grep -o "\"$1\":[^,}]*" | head -1 | cut -d: -f2 | tr -d '"'
}

"$fontes" models install multilingual-e5-small --quiet
write 0
begin=$(date +%s%N)
"$fontes" --data-dir "$work/calm" ingest "$work/documents" --quiet >/dev/null
whole=$(( ($(date +%s%N) - begin) / 1000000 ))
echo "undisturbed: $whole ms for $files files"

round=0 early=0
for ((k = 1; k <= kills; k++)); do
  "$fontes" --data-dir "$work/killed" ingest "$work/documents" --quiet >"$work/last" 2>&1 &
  pid=$!
  window=$(( k % 2 ? whole : (whole < 1000 ? whole : 1000) ))
  sleep "$(awk -v r=$RANDOM -v w=$window 'BEGIN { printf "%.3f", r / 32768 * w / 1000 }')"
  if kill -9 $pid 2>/dev/null; then early=$((early + 1)); fi
  wait $pid 2>/dev/null || true
  "$fontes" --data-dir "$work/killed" check --json >"$work/check.json" ||
    { echo "kill $k: not consistent"; cat "$work/check.json"; exit 1; }
  if [ "$(field chunks <"$work/check.json")" -ge "$files" ]; then
    round=$((round + 1))
    write $round
    mv "$work/documents/0000.md" "$work/documents/moved-$round.md"
    if [ $round -gt 1 ]; then rm "$work/documents/moved-$((round - 1)).md"; fi
  fi
done
"$fontes" --data-dir "$work/killed" ingest "$work/documents" --quiet >/dev/null
"$fontes" --data-dir "$work/killed" check
"$fontes" --data-dir "$work/calm" ingest "$work/documents" --quiet >/dev/null
want=$("$fontes" --data-dir "$work/calm" check --json | field chunk_ids_sha256)
got=$("$fontes" --data-dir "$work/killed" check --json | field chunk_ids_sha256)
[ "$want" = "$got" ] || { echo "the chunk ids are not those of an undisturbed run"; exit 1; }
again=$("$fontes" --data-dir "$work/killed" ingest "$work/documents" --quiet --json)
[ "$(field documents_unchanged <<<"$again")" = "$(find "$work/documents" -type f | wc -l)" ]
echo "$kills kills ($early in the middle) over $files files, all changed $round times: the same chunk ids as undisturbed"
