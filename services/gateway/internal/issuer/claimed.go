package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/fault"
)

// Claims are what a token says that was verified.
type Claims struct{ claims claims }

// Text returns a claim that is a string; empty if it is none.
func (c Claims) Text(name string) string {
	text, _ := c.claims.text(name)
	return text
}

// Words returns a claim that is an array of strings, or a string of words.
func (c Claims) Words(name string) []string { return c.claims.words(name) }

// Seconds returns a claim that is a time, in seconds since 1970; 0 if there is none.
func (c Claims) Seconds(name string) float64 {
	at, _, _ := c.claims.seconds(name)
	return at
}

// Claims returns what a token says that is for an audience, whoever it is of: signature, issuer, audience and times are verified. Faults
// are those of Verify.
func (v *Verifier) Claims(ctx context.Context, text, audience string) (Claims, error) {
	parsed, err := parse(text)
	if err != nil {
		return Claims{}, err
	}
	if len(v.deps.Issuers(parsed.issuer)) == 0 { // before anything is fetched
		return Claims{}, fault.Login("the token is of another issuer")
	}
	if err := v.checkSignature(ctx, parsed); err != nil {
		return Claims{}, err
	}
	if err := parsed.claims.checkTimes(v.deps.Now()); err != nil {
		return Claims{}, err
	}
	audiences := parsed.claims.texts("aud")
	if one, ok := parsed.claims.text("aud"); ok {
		audiences = []string{one}
	}
	if !slices.Contains(audiences, audience) {
		return Claims{}, fault.Login("the token is for another audience")
	}
	return Claims{parsed.claims}, nil
}

// Endpoints are where an issuer is asked for codes, and where these are redeemed.
type Endpoints struct {
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
}

// Endpoints reads an issuer's discovery document.
func (v *Verifier) Endpoints(ctx context.Context, issuer string) (Endpoints, error) {
	var document struct {
		Issuer string `json:"issuer"`
		Endpoints
	}
	home, err := url.Parse(issuer)
	if err != nil {
		return Endpoints{}, fmt.Errorf("read the issuer's URL: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, v.fetcher.limit)
	defer cancel()
	if err := v.fetcher.get(ctx, home, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return Endpoints{}, fmt.Errorf("discover the issuer: %w", err)
	}
	if document.Issuer != issuer {
		return Endpoints{}, errors.New("discover the issuer: the document is that of another issuer")
	}
	for _, address := range []string{document.Authorization, document.Token} {
		if target, err := url.Parse(address); err != nil || !permitted(home, target) {
			return Endpoints{}, errNotPermitted
		}
	}
	return document.Endpoints, nil
}

// Redeem sends a form to a token endpoint (RFC 6749 §4.1.3) as a client, and returns the ID token of the answer. Redirects are not
// followed: the form holds what is a secret.
func (v *Verifier) Redeem(ctx context.Context, endpoint string, form url.Values, id, secret string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, v.fetcher.limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if secret != "" {
		request.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	}
	client := *v.fetcher.client
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	if err != nil {
		return "", err
	}
	var answer struct {
		IDToken string `json:"id_token"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil || response.StatusCode != http.StatusOK || answer.IDToken == "" {
		return "", fmt.Errorf("the token endpoint answers %d %.40q", response.StatusCode, answer.Error)
	}
	return answer.IDToken, nil
}
