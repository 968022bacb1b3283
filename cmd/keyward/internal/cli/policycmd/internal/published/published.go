// Package published fetches a list that somebody publishes, from wherever the caller says that it is: a file, standard input or a server.
// It promises that what comes back is whole, and that nobody on the way wrote it: who can change a list can hide a provider by another's
// name, so that plain HTTP is for this machine alone. What the list says is not its business. It reads, and writes nothing.
package published

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"time"
)

const (
	most    = 16 << 20 // bytes; published lists carry icons
	timeout = time.Minute
)

// Read reads a list from a file, from standard input (-) or over HTTP.
func Read(ctx context.Context, from string, in io.Reader) ([]byte, error) {
	if from == "-" {
		return upTo(from, in)
	}
	at, err := url.Parse(from)
	if err != nil || (at.Scheme != "http" && at.Scheme != "https") {
		file, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		return upTo(from, file)
	}
	if address, _ := netip.ParseAddr(at.Hostname()); at.Scheme == "http" && !address.IsLoopback() && at.Hostname() != "localhost" {
		return nil, fmt.Errorf("%s: lists come over https, or as a file", from)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", from, answer.Status)
	}
	return upTo(from, answer.Body)
}

func upTo(from string, r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	if len(raw) > most {
		return nil, fmt.Errorf("%s: larger than %d MiB", from, most>>20)
	}
	return raw, nil
}
