#!/bin/sh
# ./measure.sh [SIDE…]: verifies and measures tinysam's WebGPU module on this machine's GPU, and prints a table to paste.
# Sides of the model's input: 256 512 1024 if none is given. VK_DRIVER_FILES may have to name a Vulkan driver.
here=$(cd "$(dirname "$0")" && pwd)
# Dawn needs Vulkan's loader, which most drivers bring; ours comes last.
LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$here/vulkan"
export LD_LIBRARY_PATH
node=$here/node
[ -x "$node" ] || node=node
exec "$node" "$here/measure.mjs" "$@"
