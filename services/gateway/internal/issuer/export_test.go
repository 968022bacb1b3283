package issuer

import (
	"time"

	"github.com/go-json-experiment/json"
)

// Limit shortens the time that a fetch may take.
func (v *Verifier) Limit(d time.Duration) { v.fetcher.limit = d }

// Sources is the number of issuers whose keys are kept.
func (v *Verifier) Sources() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.sources)
}

// Parse reads a token without verifying it.
func Parse(text string) (algorithm, issuer string, err error) {
	t, err := parse(text)
	return t.algorithm.String(), t.issuer, err
}

// ParseKeys reads a JWK Set and returns the algorithms of each key.
func ParseKeys(raw []byte) ([][]string, error) {
	var published jwks
	if err := json.Unmarshal(raw, &published); err != nil {
		return nil, err
	}
	var all [][]string
	for _, key := range newKeySet(published).keys {
		all = append(all, key.algorithms)
	}
	return all, nil
}
