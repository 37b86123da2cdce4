// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

type options struct {
	dir, listen            string
	nodes                  int
	exitOnStdinEOF         bool
	grace                  time.Duration
	apiServer, user        []string
	controllers, scheduler []string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "directory of data, keys, logs and kubeconfig; it is kept: give it again for a warm start")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:0", "the API server's address")
	flags.IntVar(&o.nodes, "nodes", 1, "simulated nodes; 0: no scheduler and no nodes")
	flags.BoolVar(&o.exitOnStdinEOF, "exit-on-stdin-eof", false, "stop when stdin is closed, so as to end with the parent")
	flags.DurationVar(&o.grace, "grace", 2*time.Second, "how long each component may take to stop before it is killed")
	flags.StringArrayVar(&o.user, "user", nil, "another user, NAME or NAME:GROUP,GROUP; its kubeconfig is kubeconfig-NAME")
	flags.StringArrayVar(&o.apiServer, "apiserver-arg", nil, "one more flag for kube-apiserver")
	flags.StringArrayVar(&o.controllers, "controller-manager-arg", nil, "one more flag for kube-controller-manager")
	flags.StringArrayVar(&o.scheduler, "scheduler-arg", nil, "one more flag for kube-scheduler")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.dir == "" {
		return o, errors.New("--dir is required")
	}
	dir, err := filepath.Abs(o.dir)
	o.dir = dir
	return o, err
}

// up starts everything, says so in one line of JSON, and stays until it is told to stop.
func up(ctx context.Context, args []string) error {
	started := time.Now()
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if err := enter(o.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.exitOnStdinEOF {
		go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	}
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	server := "https://" + ln.Addr().String()
	if err := makeKeys("pki"); err != nil {
		return err
	}
	token, err := makeUsers(server, o.user)
	if err != nil {
		return err
	}
	p := &plane{dir: o.dir, failed: make(chan error, 8)}
	defer p.stopAll(o.grace)
	if err := p.startAll(ctx, o, ln, token); err != nil {
		return err
	}
	pids := map[string]int{"up": os.Getpid()}
	for _, c := range p.components {
		pids[c.name] = c.process.Pid
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"server": server, "token": token, "pids": pids, "seconds": time.Since(started).Seconds(),
		"kubeconfig": filepath.Join(o.dir, "kubeconfig"), "ca": filepath.Join(o.dir, "pki/ca.crt"),
	})
	return p.stay(ctx, o, ln)
}

// enter makes the directory the working directory, because paths of unix sockets must be short (107 bytes).
func enter(dir string) error {
	for _, sub := range []string{"pki", "logs", "etcd", "kwok"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	return os.Chdir(dir)
}

func (p *plane) startAll(ctx context.Context, o options, ln net.Listener, token string) error {
	ca, err := os.ReadFile("pki/ca.crt")
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host: "https://" + ln.Addr().String(), BearerToken: token, QPS: 1000, Burst: 1000,
		TLSClientConfig: rest.TLSClientConfig{CAData: ca}, Timeout: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	// Both at once: the API server tries again until etcd is there.
	if err := p.start("etcd", []string{"--dir=etcd"}, nil); err != nil {
		return err
	}
	if err := p.startAPIServer(o, ln); err != nil {
		return err
	}
	err = p.wait(ctx, "the API server", func() error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	if err != nil {
		return err
	}
	if err := p.startControllers(o); err != nil {
		return err
	}
	if o.nodes > 0 {
		if err := p.startNodes(ctx, client, o); err != nil {
			return err
		}
	}
	return p.wait(ctx, "the default service account", func() error {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func (p *plane) startAPIServer(o options, ln net.Listener) error {
	return p.start("kube-apiserver", append([]string{
		"--etcd-servers=unix://etcd.sock",
		"--bind-address=127.0.0.1", "--external-hostname=localhost",
		fmt.Sprintf("--secure-port=%d", ln.Addr().(*net.TCPAddr).Port),
		"--tls-cert-file=pki/apiserver.crt", "--tls-private-key-file=pki/apiserver.key",
		"--client-ca-file=pki/ca.crt", "--token-auth-file=pki/tokens.csv",
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=pki/sa.key", "--service-account-key-file=pki/sa.pub",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none", // 127.0.0.1 is no valid address of Endpoints
		"--allow-privileged=true",
		"--profiling=false",
	}, o.apiServer...), ln)
}

func (p *plane) startControllers(o options) error {
	return p.start("kube-controller-manager", append([]string{
		"--kubeconfig=kubeconfig", "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file=pki/sa.key", "--root-ca-file=pki/ca.crt",
		"--cluster-signing-cert-file=pki/ca.crt", "--cluster-signing-key-file=pki/ca.key",
		"--kube-api-qps=1000", "--kube-api-burst=1000",
		"--node-monitor-grace-period=8760h", // simulated nodes send no heartbeats
		"--profiling=false",
	}, o.controllers...), nil)
}

func (p *plane) startNodes(ctx context.Context, client kubernetes.Interface, o options) error {
	flags := append([]string{"--kubeconfig=kubeconfig", "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=1000", "--kube-api-burst=1000", "--profiling=false"}, o.scheduler...)
	if err := p.start("kube-scheduler", flags, nil); err != nil {
		return err
	}
	if err := os.WriteFile("kwok/kwok.yaml", []byte(kwokConfig()), 0o600); err != nil {
		return err
	}
	_ = os.Setenv("KWOK_WORKDIR", "kwok")
	if err := p.start("kwok", []string{"--config=kwok/kwok.yaml", "--kubeconfig=kubeconfig"}, nil); err != nil {
		return err
	}
	for i := range o.nodes {
		_, err := client.CoreV1().Nodes().Create(ctx, node(i), metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) { // after a warm start it does
			return err
		}
	}
	return p.wait(ctx, "the nodes", func() error {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if ready := countReady(nodes.Items); ready < o.nodes {
			return fmt.Errorf("%d of %d are ready", ready, o.nodes)
		}
		return nil
	})
}

func node(number int) *corev1.Node {
	name := fmt.Sprintf("node-%d", number)
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{"type": "kwok", "kubernetes.io/hostname": name,
			"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
		Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
	}}
}

func countReady(nodes []corev1.Node) int {
	ready := 0
	for _, n := range nodes {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	return ready
}

// wait asks again and again until *check* has no objection, a component fails, or 90 s are over.
func (p *plane) wait(ctx context.Context, what string, check func() error) error {
	var last error
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		if last = check(); last == nil {
			return nil
		}
		select {
		case err := <-p.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(30 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s: not ready after 90 s: %w", what, last)
}

// stay restarts the API server alone at each SIGUSR1: its clients' watches end, and old ones get 410.
func (p *plane) stay(ctx context.Context, o options, ln net.Listener) error {
	restart := make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGUSR1)
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-p.failed:
			return err
		case <-restart:
			p.stop("kube-apiserver", 300*time.Millisecond)
			if err := p.startAPIServer(o, ln); err != nil {
				return err
			}
		}
	}
}
