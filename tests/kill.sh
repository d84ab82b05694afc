#!/usr/bin/env bash
# The long crash test: kills (-9) an ingest of FILES small files KILLS times at random moments, each time
# followed by a restart, and compares the end with an undisturbed run: the same chunk ids in ledger, Qdrant
# and Tantivy, nothing twice.
#   tests/kill.sh [FONTES_BINARY] ; KILLS=50 FILES=500 by default
set -euo pipefail
fontes=${1:-target/release/fontes}
kills=${KILLS:-50} files=${FILES:-500}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
mkdir "$work/documents"
for ((i = 0; i < files; i++)); do
  printf '# Akte %d\n\nDie Akte %d liegt im Regal %d und betrifft den Fall %d.\n' "$i" "$i" $((i % 7)) $((i * 13)) \
    >"$work/documents/$(printf %04d "$i").md"
done
"$fontes" models install multilingual-e5-small --quiet

ids() { # every chunk id that can be found
  "$fontes" --data-dir "$1" search 'Akte Regal Fall' --mode lexical -k 1000 --json |
    grep -o '"chunk_id":"[^"]*"' | sort
}

begin=$(date +%s%N)
"$fontes" --data-dir "$work/calm" ingest "$work/documents" --quiet --json >"$work/calm.json"
whole=$(( ($(date +%s%N) - begin) / 1000000 ))
echo "undisturbed: $whole ms"

for ((k = 1; k <= kills; k++)); do
  "$fontes" --data-dir "$work/killed" ingest "$work/documents" --quiet >/dev/null 2>&1 &
  pid=$!
  sleep "$(awk -v r=$RANDOM -v w=$whole 'BEGIN { printf "%.3f", r / 32768 * w / 1000 }')"
  kill -9 $pid 2>/dev/null || true
  wait $pid 2>/dev/null || true
  "$fontes" --data-dir "$work/killed" check --json >"$work/check.json" ||
    { echo "kill $k: not consistent"; cat "$work/check.json"; exit 1; }
done
"$fontes" --data-dir "$work/killed" ingest "$work/documents" --quiet >/dev/null
"$fontes" --data-dir "$work/killed" check
diff <(ids "$work/calm") <(ids "$work/killed")
count=$(ids "$work/killed" | wc -l)
[ "$count" = "$(ids "$work/killed" | uniq | wc -l)" ]
echo "$kills kills over $files files: $count chunk ids, the same as undisturbed, none twice"
