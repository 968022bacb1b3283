package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/keyward/keyward/core/project"
)

const (
	fetchLimit   = 5 * time.Second // for the discovery document and the keys together
	maxDocument  = 1 << 20         // bytes, of each of the two
	maxHeaders   = 64 << 10        // bytes
	maxRedirects = 3               // of each of the two
)

// newClient returns the client that is used if none is given. Two connections to an issuer are one more than it takes.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, MaxConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
		TLSHandshakeTimeout: fetchLimit, MaxResponseHeaderBytes: maxHeaders,
	}}
}

// fetcher gets the keys of issuers over HTTP.
type fetcher struct {
	client *http.Client
	limit  time.Duration
}

// keys fetches an issuer's discovery document (OpenID Connect Discovery 1.0 §4) and the keys that it points to.
func (f fetcher) keys(ctx context.Context, issuer string) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, f.limit)
	defer cancel()
	home, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("read the issuer's URL: %w", err)
	}
	var document struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := f.get(ctx, home, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return nil, fmt.Errorf("discover the issuer: %w", err)
	}
	if document.Issuer != issuer {
		// §4.3: otherwise whoever serves one issuer's document could speak for another.
		return nil, errors.New("discover the issuer: the document is that of another issuer; its issuer must be the URL, character by character")
	}
	var published jwks
	if err := f.get(ctx, home, document.KeysURL, &published); err != nil {
		return nil, fmt.Errorf("fetch the issuer's keys: %w", err)
	}
	if len(published.Keys) > maxKeys {
		return nil, fmt.Errorf("fetch the issuer's keys: there are more than %d", maxKeys)
	}
	return newKeySet(published), nil
}

// get reads a JSON document of an issuer.
func (f fetcher) get(ctx context.Context, home *url.URL, address string, into any) error {
	target, err := url.Parse(address)
	if err != nil || !permitted(home, target) {
		return errNotPermitted
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	client := *f.client
	client.Jar = nil
	client.CheckRedirect = func(next *http.Request, earlier []*http.Request) error {
		if len(earlier) > maxRedirects {
			return fmt.Errorf("it redirects more than %d times", maxRedirects)
		}
		if !permitted(home, next.URL) {
			return errNotPermitted
		}
		return nil
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", target.Redacted(), response.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return fmt.Errorf("read what %s answers: %w", target.Redacted(), err)
	}
	if len(raw) > maxDocument {
		return fmt.Errorf("what %s answers is larger than %d bytes", target.Redacted(), maxDocument)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read what %s answers: %w", target.Redacted(), err)
	}
	return nil
}

var errNotPermitted = errors.New(
	"it points to a URL that is neither https:// nor, if the issuer itself is on this machine, http:// on a loopback address",
)

// permitted reports whether an issuer may send Keyward to a URL: one that is as protected as the issuer's own, and not what listens on this
// machine alone, unless the issuer does too.
func permitted(home, target *url.URL) bool {
	if !project.Protected(target) || target.User != nil {
		return false
	}
	return project.Loopback(home.Hostname()) || !project.Loopback(target.Hostname())
}
