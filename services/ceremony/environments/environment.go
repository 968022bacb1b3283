package environments

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/envhandle"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

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

// Recall verifies the client's environment handle, and issues none.
func (s *Service) Recall(p project.Project, client rest.ClientInformation) service.Environment {
	if client.ClientEnvHandle == nil || *client.ClientEnvHandle == "" {
		return service.Environment{}
	}
	id, err := envhandle.Verify(p, *client.ClientEnvHandle, s.now(), s.maxAge)
	if err != nil {
		return service.Environment{Rejected: !errors.Is(err, kv.ErrUnavailable)}
	}
	private := client.PrivateMode != nil && *client.PrivateMode
	return service.Environment{ID: id, Known: !private}
}

// Device is where a ceremony takes place.
type Device struct {
	OS, OSVersion, Browser, BrowserVersion string
}

// Detected is the device that a ceremony was begun on, as far as its start found out.
func Detected(r challenge.Record) Device {
	return Device{OS: r.OS, OSVersion: r.OSVersion, Browser: r.Browser, BrowserVersion: r.BrowserVersion}
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

// Tell makes an event tell who made a ceremony, and if it is complete, where from; of an address as much as the form keeps.
func Tell(e *event.Event, p *project.Project, client rest.ClientInformation, detected Device, form address.Form) {
	d := DeviceOf(client, detected)
	kept, network := form.Keep(client.RemoteAddress)
	Sight(e, p, client)
	e.Client = &event.Client{Address: kept, OS: d.OS, Browser: d.Browser}
	if form == address.Token && e.Sighted != nil {
		kept, network = e.Sighted.Address, e.Sighted.Network
	}
	if completed := e.Type == event.LoginCompleted || e.Type == event.AppendCompleted; completed && kept != "" {
		e.Origin = event.NewOrigin(kept, network, place.Place{})
	}
}

// Locate makes an event that tells where from tell what place that is.
func Locate(e *event.Event, at place.Place) {
	if e.Origin != nil {
		e.Origin = event.NewOrigin(e.Origin.Address, e.Origin.Network, at)
	}
}

// Sighted names what a question is counted by; with a user, one that there is not.
func Sighted(p *project.Project, user string, in service.Environment, client rest.ClientInformation) *event.Sighted {
	environment := in.ID
	if !in.Known {
		environment = ""
	}
	return p.Namer().Name(user, environment, client.RemoteAddress)
}

// Unknown notes in a question of which there is no account whose it would be.
func Unknown(q *service.Question, p *project.Project, user ident.UserID) {
	if q.Account == nil && !q.LookupFailed {
		q.Sighted = Sighted(p, string(user), q.Environment, q.Client)
	}
}

// Sight names what an event is counted for, if it counts: its user, and where on the network and in which browser or app it was done.
func Sight(e *event.Event, p *project.Project, client rest.ClientInformation) {
	if !sighting.Counts(e.Type) {
		return
	}
	e.Sighted = p.Namer().Name(string(e.User), e.Environment, client.RemoteAddress)
}

// ReportAuthEvent implements service.Directory.
func (s *Service) ReportAuthEvent(ctx context.Context, req service.ForUser[rest.AuthEventCreateReq]) (rest.AuthEvent, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.AuthEvent{}, err
	}
	client := req.Body.ClientInformation
	return s.events.CreateAuthEvent(ctx, service.ForUser[service.AuthReport]{Project: req.Project, User: req.User, Body: service.AuthReport{
		AuthEventCreateReq: req.Body, Sighted: Sighted(&p, string(req.User), s.Recall(p, client), client),
	}})
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
	a.Remember(d.At(id, nowMs))
}

// RememberNewest records where the newest of a user's logins was made, whose event does not hold all of that. None says nothing.
func RememberNewest(a *account.Account, logins []event.Found, d Sighting) {
	if len(logins) == 0 {
		return
	}
	newest := logins[len(logins)-1]
	Remember(a, newest.Environment, d, newest.CreatedMs)
}

// At returns the environment as it was seen then.
func (d Sighting) At(id ident.EnvironmentID, seenMs int64) account.Environment {
	return account.Environment{
		ID: id, OSName: d.OS, OSVersion: d.OSVersion, BrowserName: d.Browser, BrowserVersion: d.BrowserVersion, UserAgent: d.userAgent,
		JSFingerprint: d.fingerprint, LastSeenMs: seenMs,
	}
}

// Seen is what the event of a login says of where it was made, beside its client; nil if nothing is to be remembered.
func (d Sighting) Seen() *event.Seen {
	if d.private {
		return nil
	}
	return &event.Seen{OSVersion: d.OSVersion, BrowserVersion: d.BrowserVersion}
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
