#!/bin/sh
# Builds the wheel, with the commands that agents need in it: installing it is all that a machine needs.
#
#     conductor-py/build-wheel.sh OUT
#
# OUT      the folder for the wheel.
# PROFILE  cargo's profile; release unless set.
# PYTHON   a Python with what requirements-dev.txt lists; python3 unless set.
set -eu

out=${1:?build-wheel.sh: give the folder for the wheel}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/.."
profile=${PROFILE:-release}
python=${PYTHON:-python3}
case $profile in
    dev) folder=debug ;;
    *) folder=$profile ;;
esac
built=${CARGO_TARGET_DIR:-target}/$folder
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --locked --package run-agent --profile "$profile"
"$python" -m maturin build --locked --profile "$profile" --interpreter "$python" \
    --manifest-path conductor-py/Cargo.toml --out "$work/bare"

# maturin takes such files only from the source folder, which a build does not write to.
"$python" -m wheel unpack --dest "$work" "$work"/bare/*.whl
package=$(cd "$work"/conductor_loop-* && pwd)
scripts=$package/$(basename "$package").data/scripts
mkdir -p "$scripts"
for command in run-agent conductor; do
    if [ -x "$built/$command" ]; then
        install -m 755 "$built/$command" "$scripts/$command"
        [ "$profile" = dev ] || strip "$scripts/$command"
    fi
done
"$python" -m wheel pack --dest-dir "$out" "$package"
