// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/url"
	"os"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
)

// runEtcd serves a cluster of one on unix sockets in the working directory, and never syncs to disk.
func runEtcd(ctx context.Context, args []string) error {
	flags := pflag.NewFlagSet("etcd", pflag.ContinueOnError)
	dir := flags.String("dir", "etcd", "data directory")
	level := flags.String("log-level", "warn", "debug, info, warn, error")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config := etcdConfig(*dir, *level)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case err := <-server.Err():
		return err
	case <-time.After(60 * time.Second):
		return errors.New("etcd is not ready after 60 s")
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return err
	}
}

func etcdConfig(dir, level string) *embed.Config {
	for _, left := range []string{"etcd.sock", "etcd-peer.sock"} {
		_ = os.Remove(left) // by a run that was killed
	}
	config := embed.NewConfig()
	config.Dir = dir
	// What is advertised must be host:port (a unix path is refused); in a cluster of one nobody dials it.
	advertised := []url.URL{{Scheme: "http", Host: "127.0.0.1:1"}}
	config.ListenClientUrls = []url.URL{{Scheme: "unix", Host: "etcd.sock"}}
	config.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: "etcd-peer.sock"}}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = advertised, advertised
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true
	config.LogLevel = level
	config.LogOutputs = []string{"stderr"}
	config.QuotaBackendBytes = 4 << 30
	// NewConfig leaves these at 0 (their defaults come with etcd's own flags): every request would be logged as slow.
	config.WarningUnaryRequestDuration = time.Second
	config.WarningApplyDuration = time.Second
	return config
}
