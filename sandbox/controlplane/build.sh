#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# build.sh OUT: compiles the control plane into the file OUT.
#
# The linker gets the versions (-X), because /version would say v0.0.0-master+$Format otherwise.
# Keep these flags as they are: other ones compile every package anew.
set -euo pipefail

out=$(realpath -m "$1")
cd "$(dirname "$0")"

kubernetes=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
kwok=$(go list -m -f '{{.Version}}' sigs.k8s.io/kwok)
IFS=. read -r major minor _ <<<"${kubernetes#v}"

version=k8s.io/component-base/version
ldflags="-s -w"
ldflags+=" -X $version.gitVersion=$kubernetes -X $version.gitMajor=$major -X $version.gitMinor=$minor"
ldflags+=" -X $version.gitTreeState=clean -X $version.gitCommit=unknown"
ldflags+=" -X $version.buildDate=1970-01-01T00:00:00Z"
ldflags+=" -X sigs.k8s.io/kwok/pkg/consts.Version=$kwok"

CGO_ENABLED=0 go build -trimpath -ldflags "$ldflags" -o "$out" .
