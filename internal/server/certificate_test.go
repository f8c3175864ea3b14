package server

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// files writes a certificate for a host, as if some seconds after the one before.
type files struct {
	cert, key string
	seconds   int
}

func (f *files) write(t *testing.T, host string) {
	t.Helper()
	c, err := selfSigned(host)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(c.current.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, f.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.current.Certificate[0]}))
	f.put(t, f.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

func (f *files) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (f *files) put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f.seconds++
	at := time.Now().Add(time.Duration(f.seconds) * time.Second)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateIsRenewed: a server goes on with new files, and never with bad ones.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	f := files{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	f.write(t, "one.example.com")
	s := startServer(t, func(c *Config) {
		c.TLSCert, c.TLSKey = f.cert, f.key
	})
	s.certificate.mu.Lock()
	s.certificate.lookEvery = 0
	s.certificate.mu.Unlock()
	addresses := map[string]string{"HTTPS": s.listener.Addr().String(), "RTMPS": s.channels.RTMPSAddress()}
	show := func(host string) {
		t.Helper()
		for what, address := range addresses {
			conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := conn.ConnectionState().PeerCertificates[0].VerifyHostname(host); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			conn.Close()
		}
	}
	show("one.example.com")
	f.write(t, "two.example.com")
	show("two.example.com")

	old := f.read(t, f.key)
	f.write(t, "three.example.com")
	renewed := f.read(t, f.key)
	f.put(t, f.key, old) // only one of the two has been replaced yet
	show("two.example.com")
	f.put(t, f.key, renewed)
	show("three.example.com")
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	show("three.example.com")
	if left := time.Until(s.certificate.expires()); left < 300*24*time.Hour {
		t.Errorf("it expires in %v", left)
	}
}
