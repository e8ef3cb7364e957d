#!/bin/sh
# Run the decoder's tests on a build of the C code with AddressSanitizer and UBSan.
#
#   tests/sanitize.sh [further options of pytest]
#
# PYTHON names the interpreter (python3), CC the compiler (gcc). The build is strict: a warning fails
# it. It happens in a copy of the tree, and leaves nothing behind.
set -eu

python=${PYTHON:-python3}
cc=${CC:-gcc}
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$root/sse_proto" "$root/tests" "$root/pyproject.toml" "$copy"
rm -f "$copy"/sse_proto/*.so
cd "$copy"

config() {
    "$python" -c "import sysconfig; print($1)"
}
"$cc" -shared -fPIC -fwrapv -O1 -g -fno-omit-frame-pointer \
    -Wall -Wextra -Wconversion -Werror \
    -fsanitize=address,undefined -fno-sanitize-recover=all \
    -isystem "$(config 'sysconfig.get_paths()["include"]')" \
    sse_proto/_speedups.c -o "sse_proto/_speedups$(config 'sysconfig.get_config_var("EXT_SUFFIX")')"

for file in tests/core/test_speedups.py tests/core/test_agreement.py tests/core/test_decoder.py \
    tests/core/test_costs.py tests/core/test_parsed.py \
    tests/core/test_callbacks.py tests/core/test_twins.py \
    tests/core/test_vectors.py tests/random/test_properties.py; do
    set -- "$@" "$file"
done

# The sanitizer's allocator sees only what Python does not keep to itself. Python's own leaks at exit
# are none of ours. Hypothesis and the clock are slower here: no time limits.
LD_PRELOAD="$("$cc" -print-file-name=libasan.so) $("$cc" -print-file-name=libubsan.so)" \
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 \
UBSAN_OPTIONS=print_stacktrace=1 \
PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1 REQUIRE_SPEEDUPS=1 \
    "$python" -m pytest -p no:cacheprovider -o timeout=0 "$@"
