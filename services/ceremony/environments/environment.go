package environments

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/envhandle"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// maxEnvironments bounds the environments kept of a user; the one not seen for longest goes first.
const maxEnvironments = 50

// Visit is what a start call makes of the environment handle that the client sent, or did not send.
type Visit struct {
	service.Environment
	Issued  *string // handle of a new environment, for the client to keep
	Private bool
}

// Recorded is the environment to write into history: none in private mode, where nothing is to be remembered.
func (v Visit) Recorded() ident.EnvironmentID {
	if v.Private {
		return ""
	}
	return v.ID
}

// Visit verifies the client's environment handle and issues one if there is no valid one, but never in private mode.
func (s *Service) Visit(p project.Project, client rest.ClientInformation) (Visit, error) {
	v := Visit{Private: client.PrivateMode != nil && *client.PrivateMode}
	if client.ClientEnvHandle != nil && *client.ClientEnvHandle != "" {
		id, err := envhandle.Verify(p, *client.ClientEnvHandle, s.now(), s.maxAge)
		if err == nil {
			s.handles.WithLabelValues("known").Inc()
			v.ID, v.Known = id, !v.Private
			return v, nil
		}
		if errors.Is(err, kv.ErrUnavailable) {
			return Visit{}, err // a handle in its place would make a stranger of somebody known
		}
		s.handles.WithLabelValues("rejected").Inc()
		v.Rejected = true
	}
	if v.Private {
		return v, nil
	}
	v.ID = ident.NewEnvironmentID()
	handle, err := envhandle.Issue(p, v.ID, s.now())
	if err != nil {
		return Visit{}, err
	}
	s.handles.WithLabelValues("issued").Inc()
	v.Issued = &handle
	return v, nil
}

// Device is where a ceremony takes place.
type Device struct {
	OS, OSVersion, Browser, BrowserVersion string
}

// Sighting is what an environment is remembered by.
type Sighting struct {
	Device
	userAgent, fingerprint string
	private                bool // nothing is to be remembered
}

// maxRemembered bounds, in bytes, each text that a client sent and that is kept of an environment.
const maxRemembered = 512

func SightingOf(client rest.ClientInformation, detected Device) Sighting {
	seen := Sighting{
		Device: DeviceOf(client, detected), userAgent: clip(client.UserAgent), private: client.PrivateMode != nil && *client.PrivateMode,
	}
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

// EventClient is what events tell of who made a ceremony.
func EventClient(client rest.ClientInformation, d Device) *event.Client {
	return &event.Client{Address: client.RemoteAddress, OS: d.OS, Browser: d.Browser}
}

// DeviceOf prefers what the caller parsed to what was detected at start.
func DeviceOf(client rest.ClientInformation, detected Device) Device {
	parsed := client.ParsedDeviceInfo
	if parsed == nil || parsed.OSName == "" {
		return detected
	}
	return Device{OS: parsed.OSName, OSVersion: parsed.OSVersion, Browser: parsed.BrowserName, BrowserVersion: parsed.BrowserVersion}
}

// Remember records that the user was in an environment.
func Remember(a *account.Account, id ident.EnvironmentID, d Sighting, nowMs int64) {
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
	current.OSName, current.OSVersion = d.OS, d.OSVersion
	current.BrowserName, current.BrowserVersion = d.Browser, d.BrowserVersion
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

// ListClientEnvs implements service.Directory. The environment seen last comes first. Each has a new handle, which a client that lost its
// own can be given.
func (s *Service) ListClientEnvs(ctx context.Context, req service.ForUser[service.Empty]) (rest.ClientEnvList, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
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
