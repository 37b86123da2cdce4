// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	parentPipe = "CONTROLPLANE_PARENT_PIPE" // set: stdin is a pipe from `up`, and its end is ours
	listenFD   = "CONTROLPLANE_LISTEN_FD"   // the API server's socket, handed over: no race for a free port
)

// component is one child process of `up`: this same binary under another name.
type component struct {
	name    string
	process *os.Process
	asked   chan struct{} // closed when we asked it to stop
	done    chan struct{} // closed when it has ended
}

// plane is what `up` has started, in the order of starting.
type plane struct {
	dir        string
	components []*component
	failed     chan error // a component ended that nobody asked to
}

func (p *plane) start(name string, args []string, ln net.Listener) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logfile := filepath.Join(p.dir, "logs", name+".log")
	log, err := os.OpenFile(logfile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, append([]string{name}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), parentPipe+"=1")
	// A Ctrl-C on the terminal is for us alone: we stop the others in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if _, err := cmd.StdinPipe(); err != nil { // the kernel closes it when we die: then the child exits
		return err
	}
	if ln != nil {
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
		cmd.Env = append(cmd.Env, listenFD+"=3")
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c := &component{name: name, process: cmd.Process, asked: make(chan struct{}), done: make(chan struct{})}
	p.components = append(p.components, c)
	go func() {
		err := cmd.Wait()
		select {
		case <-c.asked:
		default:
			p.failed <- fmt.Errorf("%s ended: %v (see %s)", name, err, logfile)
		}
		close(c.done)
	}()
	return nil
}

func (c *component) ask() {
	close(c.asked)
	_ = c.process.Signal(syscall.SIGTERM)
}

func (c *component) wait(grace time.Duration) {
	select {
	case <-c.done:
	case <-time.After(grace):
		fmt.Fprintln(os.Stderr, "controlplane up: killing", c.name)
		_ = c.process.Kill()
		<-c.done
	}
}

func (p *plane) stop(name string, grace time.Duration) {
	for i, c := range p.components {
		if c.name == name {
			c.ask()
			c.wait(grace)
			p.components = append(p.components[:i], p.components[i+1:]...)
			return
		}
	}
}

// stopAll stops the clients first, all at once, then the API server, and etcd last.
func (p *plane) stopAll(grace time.Duration) {
	var clients, servers []*component
	for _, c := range p.components {
		if c.name == "etcd" || c.name == "kube-apiserver" {
			servers = append([]*component{c}, servers...)
		} else {
			clients = append(clients, c)
			c.ask()
		}
	}
	for _, c := range clients {
		c.wait(grace)
	}
	for _, c := range servers {
		c.ask()
		c.wait(grace)
	}
}
