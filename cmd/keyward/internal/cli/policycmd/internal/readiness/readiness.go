// Package readiness asks a server by which bundle it answers. It speaks HTTP to the admin port that it is told of and touches nothing else.
package readiness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// reachable is where a server that listens at addr is found from here.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// Answers waits until the server whose admin port is at addr says of its policy that files of this hash answer, or that it refuses them for
// good. The error is what it said last.
func Answers(ctx context.Context, addr, content string) error {
	readiness := "http://" + reachable(addr) + "/readyz?verbose"
	said := fmt.Errorf("%s was not asked", readiness)
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		policy, err := policyState(ctx, readiness)
		switch {
		case err != nil && ctx.Err() == nil:
			said = err
		case err == nil && answeredBy(policy, content):
			return struct{}{}, nil
		case err == nil:
			said = fmt.Errorf("%s says: %s", readiness, policy)
			if refuses(policy, content) {
				return struct{}{}, backoff.Permanent(said)
			}
		}
		return struct{}{}, said
	}, backoff.WithBackOff(backoff.NewConstantBackOff(50*time.Millisecond)), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return said
	}
	return nil
}

// answeredBy reports whether the line of readiness about the policy says that files of this hash answer.
func answeredBy(policy, content string) bool {
	answering, _, _ := strings.Cut(policy, " answers; ")
	fields := strings.Fields(answering)
	return fields[len(fields)-1] == content
}

// refuses reports whether the line says that files of this hash are refused for good. It does not while they are tried again.
func refuses(policy, content string) bool {
	return strings.Contains(policy, " answers; refused content "+content+": ")
}

// mostReadiness is far above what a server says of itself, in bytes.
const mostReadiness = 1 << 20

// policyState returns the line of readiness that is about the policy.
func policyState(ctx context.Context, readiness string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, readiness, nil)
	if err != nil {
		return "", err
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = rsp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(rsp.Body, mostReadiness))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "policy ") {
			return strings.TrimSpace(line), nil
		}
	}
	return "", fmt.Errorf("%s does not speak of a policy", readiness)
}
