package ceremony

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/envhandle"
)

// maxEnvironments bounds the environments kept of a user; the one not seen for longest goes first.
const maxEnvironments = 50

// visit is what a start call makes of the environment handle that the client sent, or did not send.
type visit struct {
	service.Environment
	issued  *string // handle of a new environment, for the client to keep
	private bool
}

// recorded is the environment to write into history: none in private mode, where nothing is to be remembered.
func (v visit) recorded() ident.EnvironmentID {
	if v.private {
		return ""
	}
	return v.ID
}

// visit verifies the client's environment handle and issues one if there is no valid one, but never in private mode.
func (s *Service) visit(p project.Project, client rest.ClientInformation) (visit, error) {
	v := visit{private: client.PrivateMode != nil && *client.PrivateMode}
	if client.ClientEnvHandle != nil && *client.ClientEnvHandle != "" {
		id, err := envhandle.Verify(p, *client.ClientEnvHandle, s.now(), s.cfg.HandleMaxAge)
		if err == nil {
			s.metrics.handles.WithLabelValues("known").Inc()
			v.ID, v.Known = id, !v.private
			return v, nil
		}
		s.metrics.handles.WithLabelValues("rejected").Inc()
		v.Rejected = true
	}
	if v.private {
		return v, nil
	}
	v.ID = ident.NewEnvironmentID()
	handle, err := envhandle.Issue(p, v.ID, s.now())
	if err != nil {
		return visit{}, err
	}
	s.metrics.handles.WithLabelValues("issued").Inc()
	v.issued = &handle
	return v, nil
}

// device is where a ceremony takes place.
type device struct {
	os, osVersion, browser, browserVersion string
}

// sighting is what an environment is remembered by.
type sighting struct {
	device
	userAgent, fingerprint string
	private                bool // nothing is to be remembered
}

// maxRemembered bounds, in bytes, each text that a client sent and that is kept of an environment.
const maxRemembered = 512

func sightingOf(client rest.ClientInformation, detected device) sighting {
	seen := sighting{device: deviceOf(client, detected), userAgent: clip(client.UserAgent), private: client.PrivateMode != nil && *client.PrivateMode}
	if client.JavascriptFingerprint != nil {
		seen.fingerprint = clip(*client.JavascriptFingerprint)
	}
	return seen
}

// clip cuts text to what is kept of it, between two characters.
func clip(text string) string {
	if len(text) <= maxRemembered {
		return text
	}
	return strings.ToValidUTF8(text[:maxRemembered], "")
}

// clientOf is what events tell of who made a ceremony.
func clientOf(client rest.ClientInformation, d device) *event.Client {
	return &event.Client{Address: client.RemoteAddress, OS: d.os, Browser: d.browser}
}

// deviceOf prefers what the caller parsed to what was detected at start.
func deviceOf(client rest.ClientInformation, detected device) device {
	parsed := client.ParsedDeviceInfo
	if parsed == nil || parsed.OSName == "" {
		return detected
	}
	return device{os: parsed.OSName, osVersion: parsed.OSVersion, browser: parsed.BrowserName, browserVersion: parsed.BrowserVersion}
}

// seen records that the user was in an environment.
func seen(a *account.Account, id ident.EnvironmentID, d sighting, nowMs int64) {
	if id == "" || d.private {
		return
	}
	current := account.Environment{ID: id, CreatedMs: nowMs}
	oldest := 0
	for i, e := range a.Environments {
		if e.ID == id {
			current.CreatedMs, current.JSFingerprint = e.CreatedMs, e.JSFingerprint
			oldest = i
			break
		}
		if e.LastSeenMs < a.Environments[oldest].LastSeenMs {
			oldest = i
		}
	}
	current.OSName, current.OSVersion = d.os, d.osVersion
	current.BrowserName, current.BrowserVersion = d.browser, d.browserVersion
	current.UserAgent = d.userAgent
	if d.fingerprint != "" {
		current.JSFingerprint = d.fingerprint
	}
	current.LastSeenMs = nowMs
	known := len(a.Environments) > 0 && a.Environments[oldest].ID == id
	if known || len(a.Environments) >= maxEnvironments {
		a.Environments[oldest] = current
		return
	}
	a.Environments = append(a.Environments, current)
}

// ListClientEnvs implements service.Directory. The environment seen last comes first. Each has a new handle, which a client that lost its own can be given.
func (s *Service) ListClientEnvs(ctx context.Context, req service.ForUser[service.Empty]) (rest.ClientEnvList, error) {
	p, err := s.project(req.Project)
	if err != nil {
		return rest.ClientEnvList{}, err
	}
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.ClientEnvList{}, err
	}
	slices.SortStableFunc(a.Environments, func(x, y account.Environment) int {
		return cmp.Or(cmp.Compare(y.LastSeenMs, x.LastSeenMs), cmp.Compare(x.ID, y.ID))
	})
	list := rest.ClientEnvList{ClientEnvs: make([]rest.ClientEnv, len(a.Environments))}
	for i, e := range a.Environments {
		handle, err := envhandle.Issue(p, e.ID, s.now())
		if err != nil {
			return rest.ClientEnvList{}, fault.Internal(err)
		}
		list.ClientEnvs[i] = rest.ClientEnv{
			ID: string(e.ID), Handle: handle, OSName: e.OSName, OSVersion: e.OSVersion, BrowserName: e.BrowserName, BrowserVersion: e.BrowserVersion,
			UserAgent: e.UserAgent, JsFingerprint: e.JSFingerprint, CreatedMs: e.CreatedMs,
		}
	}
	return list, nil
}
