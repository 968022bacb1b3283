// Package operatorclient makes the calls of the Operator API, over HTTP, as an operator. It knows no more of the API than the types of
// package operator and the paths in calls.go.
package operatorclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// Server says where to call, and as whom.
type Server struct {
	URL   string // without /operator/v1
	Token string
	Roots *x509.CertPool // nil = those of the system
}

// ErrUnanswered is what a call returns that no server answered.
var ErrUnanswered = errors.New("no server answers")

// maxAnswer bounds what is read of an answer, in bytes: a bundle of the largest size, as text, is far below.
const maxAnswer = 64 << 20

// Client calls as an operator. It may be used by several goroutines at once.
type Client struct {
	server Server
	http   *http.Client
}

// Connect returns a client whose calls take no longer than timeout. Nothing is sent yet.
func Connect(server Server, timeout time.Duration) *Client {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: server.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, // a command makes few calls, and leaves nothing
	}
	return &Client{server: server, http: &http.Client{
		Timeout: timeout, Transport: transport,
		// A token goes to the server that was named, and to no other.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func get[Out any](ctx context.Context, c *Client, path string) (Out, error) {
	return call[Out](ctx, c, http.MethodGet, path, nil)
}

func post[Out any](ctx context.Context, c *Client, path string, body any) (Out, error) {
	sent, err := json.Marshal(body)
	if err != nil {
		var none Out
		return none, fmt.Errorf("encode the request: %w", err)
	}
	return call[Out](ctx, c, http.MethodPost, path, sent)
}

// call returns the answer of a success, a *client.Fault for any other, or why there was none.
func call[Out any](ctx context.Context, c *Client, method, path string, sent []byte) (out Out, _ error) {
	answer, err := c.answer(ctx, method, path, sent)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		return out, fmt.Errorf("read the answer: %w", err)
	}
	return out, nil
}

// answer is call before the answer is read.
func (c *Client) answer(ctx context.Context, method, path string, sent []byte) ([]byte, error) {
	status, answer, err := c.exchange(ctx, method, path, sent)
	if err != nil {
		return nil, fmt.Errorf("%w at %s; is keyward serve running? %w", ErrUnanswered, c.server.URL, err)
	}
	if status != http.StatusOK {
		return nil, client.ReadFault(status, answer)
	}
	return answer, nil
}

// request is a call that is yet to be made.
func (c *Client) request(ctx context.Context, method, path string, sent []byte) (*http.Request, error) {
	url := strings.TrimRight(c.server.URL, "/") + "/operator/v1" + path
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.server.Token)
	if len(sent) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *Client) exchange(ctx context.Context, method, path string, sent []byte) (status int, answer []byte, _ error) {
	req, err := c.request(ctx, method, path, sent)
	if err != nil {
		return 0, nil, err
	}
	rsp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = rsp.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(rsp.Body, maxAnswer))
	return rsp.StatusCode, answer, err
}
