// SPDX-License-Identifier: Apache-2.0

// controlplane is a Kubernetes control plane for tests in one binary: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, and kwok, which plays the nodes.
//
//	controlplane up --dir D [--nodes N]   all of them as child processes; prints one line of JSON when ready
//	controlplane version                  the Kubernetes version
//	controlplane etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kwok FLAGS...
//	                                      one of them, with its own flags; this is what `up` starts
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // CronJobs may name a time zone, and the machine may have none

	"github.com/spf13/pflag"
	logsapi "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/component-base/version"
)

var commands = map[string]func(context.Context, []string) error{
	"up":                      up,
	"version":                 printVersion,
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kube-scheduler":          runScheduler,
	"kwok":                    runKwok,
}

func main() {
	// Two components in one binary both configure logging: an equal second setting is no error.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: controlplane up|version|etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kwok [flags]")
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if os.Getenv(parentPipe) != "" {
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	}
	err := commands[name](ctx, args)
	// After a SIGTERM some components return errors of their own ("finished without leader elect"): no failure.
	if err != nil && !errors.Is(err, pflag.ErrHelp) && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "controlplane", name+":", err)
		os.Exit(1)
	}
}

func printVersion(context.Context, []string) error {
	fmt.Println(version.Get().GitVersion)
	return nil
}
