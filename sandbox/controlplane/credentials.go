// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// authority signs certificates into a directory of keys.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	from time.Time
}

// makeKeys writes the authority, the API server's and an administrator's certificates, and the key that signs
// service account tokens; all of them once, so that after a warm start what was issued stays valid.
func makeKeys(dir string) error {
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	a, err := newAuthority(dir)
	if err != nil {
		return err
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(10, 96, 0, 1)},
	}
	if err := a.issue("apiserver", server); err != nil {
		return err
	}
	admin := &x509.Certificate{
		SerialNumber: big.NewInt(3),
		Subject:      pkix.Name{CommonName: "admin-cert", Organization: []string{"system:masters"}},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if err := a.issue("admin", admin); err != nil {
		return err
	}
	if err := makeServiceAccountKey(dir); err != nil {
		return err
	}
	return os.WriteFile(done, nil, 0o600)
}

func newAuthority(dir string) (*authority, error) {
	key, err := newKey(dir, "ca.key")
	if err != nil {
		return nil, err
	}
	from := time.Now().Add(-time.Hour) // clocks differ
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "controlplane-ca"},
		NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(dir, "ca.crt", "CERTIFICATE", der); err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &authority{dir: dir, key: key, cert: cert, from: from}, err
}

func (a *authority) issue(name string, template *x509.Certificate) error {
	key, err := newKey(a.dir, name+".key")
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore, template.NotAfter = a.from, a.from.AddDate(10, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePEM(a.dir, name+".crt", "CERTIFICATE", der)
}

func makeServiceAccountKey(dir string) error {
	key, err := newKey(dir, "sa.key")
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(dir, "sa.pub", "PUBLIC KEY", der)
}

func newKey(dir, name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(dir, name, "EC PRIVATE KEY", der)
}

func writePEM(dir, name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// makeUsers writes the table of tokens and a kubeconfig for each user, and returns the administrator's token.
func makeUsers(server string, extra []string) (string, error) {
	ca, err := os.ReadFile("pki/ca.crt")
	if err != nil {
		return "", err
	}
	admin, err := tokenOf("admin")
	if err != nil {
		return "", err
	}
	if err := writeKubeconfig("kubeconfig", server, ca, "admin", admin); err != nil {
		return "", err
	}
	table := admin + ",admin,admin,system:masters\n"
	for i, user := range extra {
		name, groups, _ := strings.Cut(user, ":")
		token, err := tokenOf(name)
		if err != nil {
			return "", err
		}
		table += fmt.Sprintf("%s,%s,uid-%d", token, name, i)
		if groups != "" {
			table += fmt.Sprintf(",%q", groups)
		}
		table += "\n"
		if err := writeKubeconfig("kubeconfig-"+name, server, ca, name, token); err != nil {
			return "", err
		}
	}
	return admin, os.WriteFile("pki/tokens.csv", []byte(table), 0o600)
}

func tokenOf(user string) (string, error) {
	path := filepath.Join("pki", "token-"+user)
	if kept, err := os.ReadFile(path); err == nil {
		return string(kept), nil
	}
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	token := hex.EncodeToString(random)
	return token, os.WriteFile(path, []byte(token), 0o600)
}

func writeKubeconfig(path, server string, ca []byte, user, token string) error {
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: controlplane
clusters:
- name: controlplane
  cluster: {server: %q, certificate-authority-data: %s}
users:
- name: %s
  user: {token: %s}
contexts:
- name: controlplane
  context: {cluster: controlplane, user: %s}
`, server, base64.StdEncoding.EncodeToString(ca), user, token, user), 0o600)
}
