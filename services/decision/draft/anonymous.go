package draft

import (
	"encoding/base64"
	"slices"
	"strconv"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// What a scenario that names nobody says of the client.
const (
	Address     = "192.0.2.1" // where it asks from; set aside for documentation
	Environment = "env-1"     // where it is, if that is known
)

// Anonymous returns the scenario without what names a person, a device or a journey: passkeys, environments, processes and challenges have
// numbers instead, equal ones the same. What clients say of their like stays, such as the user agent.
func (s Scenario) Anonymous() Scenario {
	processes, environments, challenges := numbered("process-"), numbered("env-"), numbered("challenge-")
	passkeys := numbered("passkey-")
	passkey := func(c account.Credential) account.Credential {
		c.CredentialID = []byte(passkeys.of(base64.RawURLEncoding.EncodeToString(c.CredentialID)))
		c.Environment = ident.EnvironmentID(environments.of(string(c.Environment)))
		return c
	}
	q := &s.Question
	q.Process = processes.of(q.Process)
	q.Environment.ID = ident.EnvironmentID(environments.of(string(q.Environment.ID)))
	q.Client.ClientEnvHandle, q.Client.ClientEnvHandleMeta, q.Client.JavascriptFingerprint, q.Client.VisitorID = nil, nil, nil, nil
	if q.Client.RemoteAddress != "" {
		q.Client.RemoteAddress = Address
	}
	if meta := q.Client.NativeMeta; meta != nil {
		plain := *meta
		plain.Locale, plain.Screen, plain.SdkInitTimeMs = nil, nil, nil
		if plain.Error != nil && *plain.Error != "" {
			said := "an error"
			plain.Error = &said
		}
		q.Client.NativeMeta = &plain
	}
	if q.Account != nil {
		a := *q.Account
		a.Credentials = slices.Clone(a.Credentials)
		for i := range a.Credentials {
			a.Credentials[i] = passkey(a.Credentials[i])
		}
		q.Account = &a
	}
	s.Deleted = slices.Clone(s.Deleted)
	for i := range s.Deleted {
		s.Deleted[i].Credential = passkey(s.Deleted[i].Credential)
	}
	if s.Risk != nil && s.Risk.Finish != nil {
		finish, risk := *s.Risk.Finish, *s.Risk
		finish.Passkey = passkey(finish.Passkey)
		risk.Finish, s.Risk = &finish, &risk
	}
	s.Events = slices.Clone(s.Events)
	for i := range s.Events {
		e := &s.Events[i]
		e.Process, e.Challenge = processes.of(e.Process), challenges.of(event.Canonical(e.Challenge))
		e.Environment = ident.EnvironmentID(environments.of(string(e.Environment)))
	}
	return s
}

// numbers are what names are replaced by, in the order in which they were met.
type numbers struct {
	prefix string
	known  map[string]string
}

func numbered(prefix string) *numbers { return &numbers{prefix, map[string]string{}} }

// of returns what stands for a name; nothing stands for none.
func (n *numbers) of(name string) string {
	if name == "" {
		return ""
	}
	if _, met := n.known[name]; !met {
		n.known[name] = n.prefix + strconv.Itoa(len(n.known)+1)
	}
	return n.known[name]
}
