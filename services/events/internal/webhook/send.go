package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/keyward/keyward/core/span"
)

// Result is what became of one attempt.
type Result struct {
	Delivered  bool
	Gone       bool   // the endpoint asks for no more
	Status     int    // 0 = no answer
	Problem    string // in fixed words: what a network says of itself inside is not for the project to know
	RetryAfter time.Duration
	Took       time.Duration
}

const (
	answerLimit = 64 << 10 // bytes of an answer that are read, so that its connection can be used again
	headerLimit = 64 << 10 // bytes of an answer's header
	idleLimit   = 60 * time.Second
)

// Sender makes attempts. All endpoints share it; it keeps no more than idle connections between attempts.
type Sender struct {
	transport *http.Transport
	timeout   time.Duration
	now       func() time.Time
}

func NewSender(c Config, now func() time.Time) *Sender {
	dialer := &net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second, Control: c.control}
	return &Sender{
		timeout: c.Timeout,
		now:     now,
		transport: &http.Transport{
			DialContext:            dialer.DialContext, // and no proxy: the address that is judged must be the one that gets the event
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    c.Timeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           1024,
			MaxIdleConnsPerHost:    c.Concurrency,
			IdleConnTimeout:        idleLimit,
			MaxResponseHeaderBytes: headerLimit,
		},
	}
}

func (s *Sender) Close() { s.transport.CloseIdleConnections() }

// Send makes one attempt. It does not follow redirects: the transport never does by itself.
func (s *Sender) Send(ctx context.Context, e *Endpoint, messageID string, body []byte) Result {
	began := time.Now() // a monotonic reading, whatever the injected clock
	r := s.attempt(ctx, e, messageID, body)
	r.Took = time.Since(began)
	return r
}

func (s *Sender) attempt(ctx context.Context, e *Endpoint, messageID string, body []byte) Result {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL, bytes.NewReader(body))
	if err != nil {
		return Result{Problem: "the URL cannot be used"}
	}
	s.dress(req, e, messageID, body)
	rsp, err := s.transport.RoundTrip(req)
	if err != nil {
		return Result{Problem: problem(err)}
	}
	defer func() { _ = rsp.Body.Close() }()
	r := Result{Status: rsp.StatusCode, Delivered: rsp.StatusCode >= 200 && rsp.StatusCode <= 299, Gone: rsp.StatusCode == http.StatusGone}
	if !r.Delivered {
		r.Problem = "answered " + strconv.Itoa(rsp.StatusCode)
		if rsp.StatusCode >= 300 && rsp.StatusCode <= 399 {
			r.Problem += "; redirects are not followed"
		}
		r.RetryAfter = retryAfter(rsp.Header.Get("Retry-After"), s.now())
	}
	// The connection of an answer that is longer is closed with it.
	_, _ = io.CopyN(io.Discard, rsp.Body, answerLimit)
	return r
}

// dress sets the headers. The project's own come first, so that they replace none of ours.
func (s *Sender) dress(req *http.Request, e *Endpoint, messageID string, body []byte) {
	for name, value := range e.Headers {
		req.Header.Set(name, value)
	}
	if e.Username != "" || e.Password != "" {
		req.SetBasicAuth(e.Username, e.Password.Reveal())
	}
	// Present and empty, it is not sent, and lets the transport try again on a new connection if an idle one turns out to be closed.
	if req.Header.Get("Idempotency-Key") == "" {
		req.Header["Idempotency-Key"] = nil
	}
	if parent := span.Parent(req.Context()); parent != "" {
		req.Header.Set(span.TraceParent, parent)
	}
	now := s.now()
	timestamp := strconv.FormatInt(now.Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Keyward")
	req.Header.Set("Webhook-Id", messageID)
	req.Header.Set("Webhook-Timestamp", timestamp)
	req.Header.Set("Webhook-Signature", signatures(e.Secrets, now, messageID, timestamp, body))
}

// signatures returns one signature for each active secret, separated by spaces (Standard Webhooks, "symmetric signatures").
func signatures(secrets []Secret, now time.Time, messageID, timestamp string, body []byte) string {
	var all []string
	for _, secret := range secrets {
		if !secret.Active(now) {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Value.Reveal(), SecretPrefix))
		if err != nil {
			continue // none that NewSecret made
		}
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%s.", messageID, timestamp)
		_, _ = mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}

// RetryAfter reads the header of that name: seconds or a date (RFC 9110 section 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// Problem names the cause of a missing answer.
func problem(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errAddress):
		return "the address is private and not allowed"
	case errors.Is(err, context.Canceled):
		return "the attempt was interrupted"
	case errors.As(err, &dns):
		return "the name could not be resolved"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "there was no answer in time"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &unknown), errors.As(err, &verification):
		return "the certificate is not trusted"
	case errors.As(err, &record):
		return "the endpoint does not speak TLS"
	default:
		return "the connection failed"
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
