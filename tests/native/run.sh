#!/bin/sh
# The decoder's core in C by itself: fuzzed, exhausted, proved. See docs/explanation/proof.md.
#
#   tests/native/run.sh fuzz [RUNS]      inputs to libFuzzer (clang); 0: the corpus alone
#   tests/native/run.sh exhaust [TOKENS]
#   tests/native/run.sh prove [CHUNK]    frama-c, chunks of up to so many bytes; 1: some states alone
#   tests/native/run.sh corpus           take what the fuzzer found into the corpus, minimised
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$here/../../build/native
warnings='-std=c99 -Wall -Wextra -Wconversion -Werror'
mkdir -p "$work/corpus"
cd "$work"

needs() {
    command -v "$1" >/dev/null || { echo "$1 is not installed: $2 was skipped"; exit 0; }
}

# As plain and fast as libFuzzer goes: most of the inputs. The counters alone tell it what is new.
build_fast() {
    clang $warnings -O3 -fsanitize-coverage=inline-8bit-counters,pc-table \
        -c "$here/fuzz_core.c" -o fuzz.o
    clang fuzz.o -fsanitize=fuzzer -o fuzz
}

fuzz() {
    needs clang "fuzzing"
    for kind in address,undefined memory; do
        clang $warnings -O1 -g -fsanitize=fuzzer,$kind -fno-sanitize-recover=all \
            "$here/fuzz_core.c" -o fuzz-$kind
        ./fuzz-$kind -runs=$(($1 / 20)) -max_len=512 corpus "$here/corpus"
    done
    build_fast
    ./fuzz -runs="$1" -max_len=64 -entropic=0 -keep_seed=1 -use_counters=0 corpus "$here/corpus"
}

exhaust() {
    ${CC:-cc} $warnings -O3 "$here/exhaust.c" -o exhaust
    ./exhaust "$1"
}

corpus() {
    build_fast
    mkdir minimised
    ./fuzz -merge=1 -use_counters=0 -max_len=64 minimised "$here/corpus" corpus
    rm "$here"/corpus/*
    mv minimised/* "$here/corpus"
    rmdir minimised
}

eva() {
    frama-c -eva -eva-slevel 10000000 -inline-calls @all -main prove -cpp-extra-args="$1" \
        "$2" >prove.log 2>&1
    grep -q '^  0 alarms generated' prove.log && grep -q '^  100% of the logical' prove.log
}

# From one state, which it prints if there is an alarm.
prove_one() {
    state="-DCHUNK=$1 -DMARK=$2 -DLINE=$3 -DDATA=$4 -DTYPE=$5 -DID=$6"
    if ! eva "$state" "$here/prove.c"; then
        grep -A3 -E 'alarm\]|error|unknown|invalid' prove.log || cat prove.log
        echo "not proved: $state"
        exit 1
    fi
    count=$((count + 1))
}

# Whether a fault in this header is found: else nothing is proved by an analysis without an alarm.
plant() {
    mkdir -p fault/sse_proto fault/tests/native
    cp "$here/prove.c" fault/tests/native
    cp "$here"/../../sse_proto/sse_*.h fault/sse_proto
    sed "$2" "$here/../../sse_proto/$1" >"fault/sse_proto/$1"
    if cmp -s "$here/../../sse_proto/$1" "fault/sse_proto/$1"; then
        echo "there is no such line: $2"
        exit 1
    fi
    if eva "-DCHUNK=1 -DMARK=4 $3" fault/tests/native/prove.c; then
        echo "a fault was not found: $2"
        exit 1
    fi
}

prove() {
    needs frama-c "the proof"
    plant sse_bytes.h 's/(length >= buffer->cap/(length > buffer->cap/' \
        '-DLINE=6 -DDATA=3 -DTYPE=-2 -DID=-2'
    plant sse_core.h 's/sse_keep(&m->data) && //' '-DLINE=5 -DDATA=-2 -DTYPE=-2 -DID=-2'
    plant sse_bytes.h 's/ + at.length;/;/' '-DLINE=6 -DDATA=-2 -DTYPE=-2 -DID=-2'
    lines='-2 -1 1 3 5 6 7'
    values='-2,-2,-2 -1,-1,-1 0,-2,-2 3,-2,-2 -2,1,-2 -2,-2,1 -2,0,0 3,1,1'
    [ "$1" -gt 1 ] || { lines='5 6'; values='-2,-2,-2 3,1,-1'; }
    count=0
    for mark in 0 1 2; do
        prove_one "$1" "$mark" -2 -2 -2 -2
    done
    for line in $lines; do
        for value in $values; do
            prove_one "$1" 4 "$line" $(echo "$value" | tr , ' ')
        done
    done
    echo "$count states, chunks of up to $1 bytes: no alarm"
}

case $1 in
fuzz) fuzz "${2:-100000000}" ;;
exhaust) exhaust "${2:-7}" ;;
prove) prove "${2:-2}" ;;
corpus) corpus ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
