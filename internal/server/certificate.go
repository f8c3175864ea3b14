package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files of a certificate are looked at, when somebody connects.
const lookEvery = time.Second

// certificate is what the server shows of itself over TLS: what its two files hold, renewed with them. Files that cannot be
// used, such as one of two that has been replaced, leave it as it was.
type certificate struct {
	certFile, keyFile string // "": it was made by selfSigned and stays
	log               *slog.Logger
	lookEvery         time.Duration

	mu      sync.Mutex
	current *tls.Certificate
	looked  time.Time // at the files
	version [2]fileVersion
}

// fileVersion changes when somebody writes a file.
type fileVersion struct {
	modified time.Time
	size     int64
}

// openCertificate reads a certificate from its files.
func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, lookEvery: lookEvery}
	c.looked, c.version = time.Now(), c.versions()
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("load the TLS certificate (--tls-cert, --tls-key): %w", err)
	}
	c.current = &cert
	return c, nil
}

// config is for servers that show the certificate.
func (c *certificate) config() *tls.Config {
	return &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12}
}

// get implements tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.certFile != "" && now.Sub(c.looked) >= c.lookEvery {
		c.looked = now
		c.renew()
	}
	return c.current, nil
}

// renew reads the files again if they have changed.
func (c *certificate) renew() {
	version := c.versions()
	if version == c.version {
		return
	}
	c.version = version // what cannot be used is told of once
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Warn("the new TLS certificate cannot be used, the old one stays", "file", c.certFile, "expires", c.current.Leaf.NotAfter, "error", err)
		return
	}
	c.current = &cert
	c.log.Info("the TLS certificate was renewed", "file", c.certFile, "expires", cert.Leaf.NotAfter)
}

func (c *certificate) versions() (all [2]fileVersion) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			all[i] = fileVersion{info.ModTime(), info.Size()}
		}
	}
	return all
}

// expires is when the certificate is not valid any more.
func (c *certificate) expires() time.Time {
	cert, _ := c.get(nil)
	return cert.Leaf.NotAfter
}

// selfSigned makes a certificate for a host. It serves RTMPS only: encoders that check certificates need a real one.
func selfSigned(host string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "Footlight, self-signed"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make a self-signed certificate: %w", err)
	}
	return &certificate{current: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}, nil
}
