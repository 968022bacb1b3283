package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	userv2 "github.com/keyward/keyward/api/zitadel/user/v2"
	"github.com/keyward/keyward/api/zitadel/user/v2/userv2connect"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/services/gateway"
)

// certified are the files of a certificate for 127.0.0.1.
type certified struct{ cert, key string }

func newCertified(t *testing.T) certified {
	t.Helper()
	dir := t.TempDir()
	c := certified{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	c.renew(t, 1)
	return c
}

// renew writes new files, with a serial number to tell them by, and returns whoever trusts them.
func (c certified) renew(t *testing.T, serial int64) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "keyward"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, content := range map[string][]byte{c.cert: text, c.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	return trusted
}

// over returns a client that trusts the certificate and speaks one version of HTTP.
func (c certified) over(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	text, err := os.ReadFile(c.cert)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted}, Protocols: new(http.Protocols), DisableKeepAlives: !http2}
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetHTTP2(http2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (s *server) listOver(client *http.Client, scheme, port string, options ...connect.ClientOption) error {
	address := s.gateway.Addr()
	if port == portGRPC {
		address = s.gateway.GRPCAddr()
	}
	sender := &sending{client: client, headers: basic("pro-1", secretA)}
	_, err := userv2connect.NewUserServiceClient(sender, scheme+"://"+address, options...).
		ListPasskeys(s.t.Context(), &userv2.ListPasskeysRequest{UserId: "usr-1"})
	return err
}

func TestEachPortHasTLSIfItIsAskedFor(t *testing.T) {
	t.Parallel()
	files := newCertified(t)
	for _, tc := range []struct {
		name, ports string
		tls         map[string]bool
	}{
		{"both by default", "", map[string]bool{portHTTP: true, portGRPC: true}},
		{"both", gateway.TLSBoth, map[string]bool{portHTTP: true, portGRPC: true}},
		{"HTTP only", gateway.TLSHTTP, map[string]bool{portHTTP: true}},
		{"gRPC only", gateway.TLSGRPC, map[string]bool{portGRPC: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, setup{cfg: gateway.Config{TLSCert: files.cert, TLSKey: files.key, TLSPorts: tc.ports, HSTSMaxAge: time.Hour}})
			for _, port := range []string{portHTTP, portGRPC} {
				scheme, client, second := "http", s.client, http2(t)
				if tc.tls[port] {
					scheme, client, second = "https", files.over(t, false), files.over(t, true)
				}
				if err := s.listOver(client, scheme, port); err != nil {
					t.Errorf("%s, Connect over %s: %v", port, scheme, err)
				}
				if err := s.listOver(client, scheme, port, connect.WithGRPCWeb()); err != nil {
					t.Errorf("%s, gRPC-Web over %s: %v", port, scheme, err)
				}
				err := s.listOver(second, scheme, port, connect.WithGRPC())
				if (port == portGRPC) != (err == nil) {
					t.Errorf("%s, gRPC over %s: %v", port, scheme, err)
				}
			}
			if tc.tls[portHTTP] {
				rsp, err := files.over(t, false).Get("https://" + s.gateway.Addr() + "/openapi.json")
				if err != nil {
					t.Fatal(err)
				}
				defer rsp.Body.Close()
				if _, err := io.Copy(io.Discard, rsp.Body); err != nil || rsp.StatusCode != http.StatusOK {
					t.Errorf("the API's document: %d, %v", rsp.StatusCode, err)
				}
				if told := rsp.Header.Get("Strict-Transport-Security"); told != "max-age=3600" {
					t.Errorf("browsers are told %q of https", told)
				}
			}
		})
	}
}

func TestTLSBelowOnePointTwoIsRefused(t *testing.T) {
	t.Parallel()
	files := newCertified(t)
	s := serve(t, setup{cfg: gateway.Config{TLSCert: files.cert, TLSKey: files.key}})
	for _, address := range []string{s.gateway.Addr(), s.gateway.GRPCAddr()} {
		old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		if conn, err := tls.Dial("tcp", address, old); err == nil {
			conn.Close()
			t.Errorf("%s speaks TLS 1.1", address)
		}
	}
}

func TestANewCertificateIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	files := newCertified(t)
	clock := newClock()
	s := serve(t, setup{now: clock.now, cfg: gateway.Config{TLSCert: files.cert, TLSKey: files.key}})
	served := func(address string) int64 {
		t.Helper()
		clock.pass(time.Minute)
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	expect := func(when string, serial int64) {
		t.Helper()
		for _, address := range []string{s.gateway.Addr(), s.gateway.GRPCAddr()} {
			if got := served(address); got != serial {
				t.Errorf("%s %s serves number %d, want %d", when, address, got, serial)
			}
		}
	}
	expect("at first", 1)
	files.renew(t, 2)
	expect("after a renewal", 2)
	if err := os.WriteFile(files.cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("with a broken file", 2)
	if got := s.metric("keyward_tls_reload_failures_total"); got != 1 {
		t.Errorf("%v failures were counted", got)
	}
	if !bytes.Contains(s.log.bytes(), []byte("the one before stays")) {
		t.Errorf("logged %s", s.log.bytes())
	}
}

func TestAGatewayIsNotMadeWithACertificateThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	services := newServices()
	cfg := gateway.Config{TLSCert: filepath.Join(t.TempDir(), "none"), TLSKey: "none"}
	_, err := gateway.New(
		cfg,
		gateway.Deps{
			Ceremony: servicetest.Ceremony{Recording: services}, Events: servicetest.Events{Recording: services},
			Webhooks: servicetest.Webhooks{Recording: services}, Projects: newTenants(), Issuers: newTenants(),
			Idempotency: noIdempotency{},
		},
	)
	if err == nil || !strings.Contains(err.Error(), "tls_cert: ") {
		t.Errorf("got %v", err)
	}
}

type noIdempotency struct{ gateway.Idempotency }

func TestShutdownFinishesCallsOnBothPortsAndTakesNoNewOnes(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	under := []way{{overGRPC, portGRPC}, {overConnect, portGRPC}, {overJSON, portHTTP}}
	entered, leave := make(chan struct{}, len(under)), make(chan struct{})
	s.services.Before(func(context.Context, string) error { entered <- struct{}{}; <-leave; return nil })
	answered := make(chan outcome, len(under))
	for _, w := range under {
		go func() { answered <- s.listPasskeys(w, "usr-1", nil) }()
	}
	for range under {
		<-entered
	}
	if !s.gateway.Healthy() {
		t.Error("before the shutdown health says not serving")
	}
	s.stop()
	for _, address := range []string{s.gateway.Addr(), s.gateway.GRPCAddr()} {
		s.eventually(func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err != nil
		}, "%s to close", address)
	}
	if s.gateway.Healthy() {
		t.Error("during the shutdown health says serving")
	}
	close(leave)
	for range under {
		if got := <-answered; got.code != "ok" {
			t.Errorf("a call that was under way got %+v", got)
		}
	}
	if err := <-s.ended; err != nil {
		t.Errorf("run ended with %v", err)
	}
	close(s.ended)
}

func TestCallsThatOutlastTheGraceAreCancelledOnBothPorts(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{Grace: 50 * time.Millisecond}})
	under := []way{{overGRPC, portGRPC}, {overConnect, portHTTP}}
	entered := make(chan struct{}, len(under))
	s.services.Before(func(ctx context.Context, _ string) error { entered <- struct{}{}; <-ctx.Done(); return ctx.Err() })
	answered := make(chan outcome, len(under))
	for _, w := range under {
		go func() { answered <- s.listPasskeys(w, "usr-1", nil) }()
		<-entered
	}
	s.stop()
	for range under {
		if got := <-answered; got.code != "canceled" && got.code != "unavailable" {
			t.Errorf("got %+v", got)
		}
	}
	if err := <-s.ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("run ended with %v", err)
	}
	close(s.ended)
}

func TestAClientThatGoesAwayCancelsItsCall(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	entered, cancelled := make(chan struct{}), make(chan struct{})
	s.services.Before(func(ctx context.Context, _ string) error {
		close(entered)
		<-ctx.Done()
		close(cancelled)
		return ctx.Err()
	})
	ctx, leave := context.WithCancel(t.Context())
	client := userv2connect.NewUserServiceClient(
		&sending{client: http2(t), headers: basic("pro-1", secretA)}, s.portURL(portGRPC), connect.WithGRPC(),
	)
	answered := make(chan error, 1)
	go func() {
		_, err := client.ListPasskeys(ctx, &userv2.ListPasskeysRequest{UserId: "usr-1"})
		answered <- err
	}()
	<-entered
	leave()
	<-cancelled
	if err := <-answered; connect.CodeOf(err) != connect.CodeCanceled {
		t.Errorf("the client got %v", err)
	}
	if line := s.logged(1)[0]; line["code"] != "canceled" || line["level"] != "INFO" {
		t.Errorf("logged %v", line)
	}
}

func TestASilentConnectionIsPinged(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{GRPCKeepalive: time.Second}})
	conn, err := net.Dial("tcp", s.gateway.GRPCAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	// The preface and empty settings (RFC 9113 sections 3.4 and 6.5).
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	const ping = 0x6
	for {
		var head [9]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			t.Fatalf("no ping came: %v", err)
		}
		if head[3] == ping {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			t.Fatal(err)
		}
	}
}
