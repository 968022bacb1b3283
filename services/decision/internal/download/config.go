package download

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/logging"
	"github.com/open-policy-agent/opa/v1/plugins/rest"
	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/core/plainfile"
)

// Config says where the bundle is.
type Config struct {
	URL     string        // https://…, http://… or oci://registry/repository:tag; empty = nowhere
	Service string        // a file that says how to call whoever has it: credentials, tls and headers, as OPA's configuration of a service
	Poll    time.Duration // how often it is asked for; default 10 s
	Wait    time.Duration // how long whoever has it may keep a call open until it has another one, if it knows how to; default 1 min
	File    string        // where the last good one is kept; empty = nowhere
}

// DefaultConfig is from nowhere.
func DefaultConfig() Config { return Config{Poll: 10 * time.Second, Wait: time.Minute} }

// Schemes of URLs.
const (
	plain   = "http"
	secured = "https"
	image   = "oci"
)

// Validate reports every setting that cannot work, one a line. signed is whether somebody vouches for what is fetched.
func (c Config) Validate(signed bool) error {
	if c.URL == "" {
		if c.Service != "" {
			return errors.New("policy_source_service: goes with policy_source")
		}
		return nil
	}
	var errs []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("policy_source: %w", err))
	case u.Scheme != plain && u.Scheme != secured && u.Scheme != image || u.Host == "" || strings.Trim(u.Path, "/") == "":
		errs = append(errs, errors.New("policy_source: must be https://host/path, http://host/path or oci://registry/repository:tag"))
	case u.User != nil:
		errs = append(errs, errors.New("policy_source: must have no credentials; policy_source_service is for those"))
	case u.Fragment != "":
		errs = append(errs, errors.New("policy_source: must have no fragment"))
	case u.Scheme == plain && !signed && !loopback(u.Hostname()):
		errs = append(errs, errors.New(
			"policy_source: whoever is on the way of http:// can write the rules; use https://, or have them signed (policy_signature_keys)",
		))
	}
	if c.Poll < time.Second {
		errs = append(errs, errors.New("policy_source_poll: must be at least 1s"))
	}
	if len(errs) == 0 {
		if _, err := c.open(); err != nil {
			errs = append(errs, fmt.Errorf("policy_source_service: %w", err))
		}
	}
	return errors.Join(errs...)
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// open returns what fetches the bundle.
func (c Config) open() (source, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	settings, err := c.service()
	if err != nil {
		return nil, err
	}
	scheme := u.Scheme
	if scheme == image {
		scheme = secured
		if loopback(u.Hostname()) {
			scheme = plain // as container tools do
		}
	}
	settings["name"], settings["url"] = "policy_source", scheme+"://"+u.Host
	if u.Scheme == image {
		return newRegistry(settings, u)
	}
	return newServer(settings, u, c.Wait)
}

// service returns what the file says.
func (c Config) service() (map[string]any, error) {
	settings := map[string]any{}
	if c.Service == "" {
		return settings, nil
	}
	raw, err := plainfile.Read(c.Service, plainfile.MaxText)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(raw, &settings); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Service, err)
	}
	for name := range settings {
		switch name {
		case "credentials", "tls", "headers":
		default:
			return nil, fmt.Errorf("%s: %s: there is credentials, tls and headers", c.Service, name)
		}
	}
	return settings, nil
}

// client calls by settings of a service, with a bound on how long headers of an answer may take.
func client(settings map[string]any, patience time.Duration) (rest.Client, error) {
	settings["response_header_timeout_seconds"] = int64(patience.Seconds())
	raw, err := json.Marshal(settings)
	if err != nil {
		return rest.Client{}, err
	}
	made, err := rest.New(raw, nil, rest.Logger(logging.NewNoOpLogger()))
	if err != nil {
		return rest.Client{}, err
	}
	if _, err := made.Config().AuthPlugin(nil); err != nil {
		return rest.Client{}, err
	}
	return made, nil
}
