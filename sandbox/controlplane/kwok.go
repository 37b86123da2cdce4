// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/pflag"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	kwokcmd "sigs.k8s.io/kwok/pkg/kwok/cmd"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
)

// runKwok does what kwok's own main does, with our context. KWOK_WORKDIR keeps it from reading ~/.kwok.
func runKwok(ctx context.Context, args []string) error {
	os.Args = append([]string{"kwok"}, args...) // its InitFlags reads os.Args
	// cobra merges pflag.CommandLine into the root command, and Kubernetes' --version there is no bool, as kwok's is.
	pflag.CommandLine = pflag.NewFlagSet("kwok", pflag.ContinueOnError)
	flags := pflag.NewFlagSet("global", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	ctx, _ = kwoklog.InitFlags(ctx, flags)
	ctx, err := kwokconfig.InitFlags(ctx, flags)
	if err != nil {
		return err
	}
	command := kwokcmd.NewCommand(ctx)
	command.PersistentFlags().AddFlagSet(flags)
	command.SetArgs(args)
	return command.ExecuteContext(ctx)
}

// kwokConfig plays every node: nodes become Ready, pods Running and Ready, a Job's pods Succeeded, deleted pods go.
//
// The numbers are all given, because kwok's defaults do not reach a configuration that is loaded this way: one
// parallelism came out as 0 and was refused, another then looked at no node's pods again.
// Nodes hold no leases (0): after a restart a lease of the last run makes its node read-only, and pods bound to it
// stay Pending for good. So nobody renews a heartbeat, and the controller manager gets a grace period of a year.
// Without nodePort and serverAddress kwok opens no port.
func kwokConfig() string {
	head := `apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  manageAllNodes: true
  cidr: 10.244.0.0/16
  nodeIP: 10.0.0.1
  nodeLeaseDurationSeconds: 0
  nodeLeaseParallelism: 4
  nodePlayStageParallelism: 4
  podPlayStageParallelism: 8
  podsOnNodeSyncParallelism: 4
`
	return strings.Join([]string{
		head, nodefast.DefaultNodeInit,
		podfast.DefaultPodReady, podfast.DefaultPodComplete, podfast.DefaultPodDelete,
	}, "\n---\n")
}
