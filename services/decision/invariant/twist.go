package invariant

import (
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
)

// lately is the process of what is made to have happened just now.
const lately = "just-now"

// recently is a moment after everything that a situation was made with.
func (s *situation) recently() int64 { return s.now.Add(-20 * time.Second).UnixMilli() }

// by is the situation when it is asked with a strategy.
func (s *situation) by(strategy rest.CrossDeviceAuthenticationStrategy) *situation {
	c := s.copied()
	c.strategy = strategy
	return c
}

// at is the situation some time on, if nothing has happened since.
func (s *situation) at(now time.Time) *situation {
	c := s.copied()
	c.now = now
	return c
}

// underWay reports whether the process that asks has done something before.
func (s *situation) underWay() bool {
	return slices.ContainsFunc(s.log, func(e event.Event) bool { return e.Process == s.process })
}

// automated is the situation when a program drives the browser.
func (s *situation) automated() *situation {
	c := s.copied()
	c.client.Webdriver = new(true)
	return c
}

// ceremony is a login that was offered here on a route just now, and how it ended.
func (s *situation) ceremony(route event.Route, end event.Type, credential string) []event.Event {
	offer := event.Event{
		Type: event.LoginOffered, Route: route, Process: lately, Challenge: lately, CreatedMs: s.recently() - 20*time.Second.Milliseconds(),
	}
	if s.known() {
		offer.Environment = s.env
	}
	answer := offer
	answer.Type, answer.Route, answer.Credential, answer.CreatedMs = end, "", credential, s.recently()
	if end == event.LoginCompleted {
		answer.Route = route
	}
	return []event.Event{offer, answer}
}

// decline is an offer of a creation just now that the user has turned down.
func (s *situation) decline(kind event.Kind) []event.Event {
	offer := event.Event{
		Type: event.AppendOffered, Kind: kind, Process: lately, Challenge: lately, CreatedMs: s.recently() - 20*time.Second.Milliseconds(),
	}
	if s.known() {
		offer.Environment = s.env
	}
	answer := offer
	answer.Type, answer.Kind, answer.CreatedMs = event.AppendExplicitAbort, "", s.recently()
	return []event.Event{offer, answer}
}

// backwards has the same events in the opposite order, each of them twice.
func (s *situation) backwards() *situation {
	c := s.copied()
	c.log = slices.Concat(s.log, s.log)
	slices.Reverse(c.log)
	return c
}

// forgetful is the situation when the client does not tell the versions that it can leave out; false if it tells none.
func (s *situation) forgetful() (*situation, bool) {
	c := s.copied()
	switch i := &c.client; {
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

// named is the situation when the client, its app and what made the passkeys have a name that nobody has heard of.
func (s *situation) named(name string) *situation {
	c := s.copied()
	c.client.ParsedDeviceInfo = &rest.ParsedDeviceInfo{BrowserName: name, BrowserVersion: "3", OSName: name + " OS", OSVersion: "9"}
	if c.client.NativeMeta != nil {
		meta := *c.client.NativeMeta
		meta.Platform, meta.Name, meta.DisplayName, meta.Model = new(name), new(strings.ToLower(name)), new(name), new(name)
		c.client.NativeMeta = &meta
	}
	return c
}
