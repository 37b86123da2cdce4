#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# gen-gomod.sh KUBERNETES ETCD KWOK (versions such as v1.36.3 v3.6.8 v0.8.0): writes go.mod anew.
# Run `go mod tidy` after it.
#
# Kubernetes requires its own parts (k8s.io/api and so on) at v0.0.0, which nobody has published:
# each gets a replacement by the release that belongs to it, v0.MINOR.PATCH.
set -euo pipefail

kubernetes=$1 etcd=$2 kwok=$3
parts=v0.${kubernetes#v1.}
cd "$(dirname "$0")"

theirs=$(go mod download -json "k8s.io/kubernetes@$kubernetes" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["GoMod"])')
language=$(awk '$1 == "go" { print $2 }' "$theirs")

{
  printf 'module controlplane\n\ngo %s\n\ngodebug default=go%s\n\n' "$language" "${language%.*}"
  printf 'require (\n'
  printf '\tgo.etcd.io/etcd/server/v3 %s\n' "$etcd"
  printf '\tk8s.io/kubernetes %s\n' "$kubernetes"
  printf '\tsigs.k8s.io/kwok %s\n' "$kwok"
  printf ')\n\nreplace (\n'
  go mod edit -json "$theirs" | python3 -c '
import json, sys
for required in json.load(sys.stdin)["Require"]:
    if required["Version"] == "v0.0.0" and required["Path"].startswith("k8s.io/"):
        print("\t{0} => {0} {1}".format(required["Path"], sys.argv[1]))' "$parts" | sort
  printf ')\n'
} >go.mod.new
mv go.mod.new go.mod
