package situation

import (
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
)

// Lately is the process of what is made to have happened just now.
const Lately = "just-now"

// Recently is a moment after everything that a situation was made with.
func (s *Situation) Recently() int64 { return s.Now.Add(-20 * time.Second).UnixMilli() }

// By is the situation when it is asked with a strategy.
func (s *Situation) By(strategy rest.CrossDeviceAuthenticationStrategy) *Situation {
	c := s.Copied()
	c.Strategy = strategy
	return c
}

// At is the situation some time on, if nothing has happened since.
func (s *Situation) At(now time.Time) *Situation {
	c := s.Copied()
	c.Now = now
	return c
}

// Later is the situation some time on, if nothing has happened since but the login of the process that asks, which is as long ago as it
// was: what a process has done is forgotten in time, and then it is another question.
func (s *Situation) Later(now time.Time) *Situation {
	ofProcess := func(e *event.Event) bool { return e.Process == s.Process && ofLogin(e.Type) }
	moved := s.without(ofProcess)
	passed := now.Sub(s.Now).Milliseconds()
	log := slices.Clone(moved.Log)
	for i := range s.Log {
		if e := s.Log[i]; ofProcess(&e) {
			e.CreatedMs += passed
			log = append(log, e)
		}
	}
	return moved.joined(log).At(now)
}

// ofLogin reports whether an event tells of a login, and how it ended.
func ofLogin(t event.Type) bool {
	switch t {
	case event.LoginOffered, event.LoginDenied, event.LoginCompleted:
		return true
	default:
		return t.AnswersLogin()
	}
}

// Automated is the situation when a program drives the browser.
func (s *Situation) Automated() *Situation {
	c := s.Copied()
	c.Client.Webdriver = new(true)
	return c
}

// Ceremony is a login that was offered here on a route just now, and how it ended.
func (s *Situation) Ceremony(route event.Route, end event.Type, credential string) []event.Event {
	offer := event.Event{
		Type: event.LoginOffered, Route: route, Process: Lately, Challenge: Lately, CreatedMs: s.Recently() - 20*time.Second.Milliseconds(),
	}
	if s.Known() {
		offer.Environment = s.Env
	}
	answer := offer
	answer.Type, answer.Route, answer.Credential, answer.CreatedMs = end, "", credential, s.Recently()
	if end == event.LoginCompleted {
		answer.Route = route
	}
	return []event.Event{offer, answer}
}

// Decline is an offer of a creation just now that the user has turned down.
func (s *Situation) Decline(kind event.Kind) []event.Event {
	offer := event.Event{
		Type: event.AppendOffered, Kind: kind, Process: Lately, Challenge: Lately, CreatedMs: s.Recently() - 20*time.Second.Milliseconds(),
	}
	if s.Known() {
		offer.Environment = s.Env
	}
	answer := offer
	answer.Type, answer.Kind, answer.CreatedMs = event.AppendExplicitAbort, "", s.Recently()
	return []event.Event{offer, answer}
}

// Backwards has the same events in the opposite order, each of them twice.
func (s *Situation) Backwards() *Situation {
	c := s.Copied()
	c.Log = slices.Concat(s.Log, s.Log)
	slices.Reverse(c.Log)
	return c
}

// Forgetful is the situation when the client does not tell the versions that it can leave out; false if it tells none.
func (s *Situation) Forgetful() (*Situation, bool) {
	c := s.Copied()
	switch i := &c.Client; {
	case i.ParsedDeviceInfo != nil:
		device := *i.ParsedDeviceInfo
		device.OSVersion, device.BrowserVersion = "", ""
		i.ParsedDeviceInfo = &device
	case i.NativeMeta != nil && i.NativeMeta.PlatformVersion != nil:
		meta := *i.NativeMeta
		meta.PlatformVersion = nil
		i.NativeMeta = &meta
	case i.JavaScriptHighEntropy != nil:
		entropy := *i.JavaScriptHighEntropy
		entropy.PlatformVersion = ""
		i.JavaScriptHighEntropy = &entropy
	default:
		return nil, false
	}
	return c, true
}

// Named is the situation when the client, its app and the moment at which it asks have a name that nobody has heard of.
func (s *Situation) Named(name string) *Situation {
	c := s.Copied()
	c.Entry, c.Flags.AskForInAppAppend = name, new(name)
	c.Client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{BrowserName: name, BrowserVersion: "3", OSName: name + " OS", OSVersion: "9"}
	if c.Client.NativeMeta != nil {
		meta := *c.Client.NativeMeta
		meta.Platform, meta.Name, meta.DisplayName, meta.Model = new(name), new(strings.ToLower(name)), new(name), new(name)
		c.Client.NativeMeta = &meta
	}
	return c
}
