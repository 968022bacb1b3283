// Package draft writes decisions down as a scenario file, in the format that package scenario reads: what was known and what had happened
// when a question was asked, and what is to be answered. What it writes is meant to be read and edited by people, and means the same to
// the engine as what it was made from. It is pure.
package draft

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// Scenario is one decision to be written down.
type Scenario struct {
	Name       string
	Action     string
	Now        time.Time
	Question   service.Question
	Strategy   rest.CrossDeviceAuthenticationStrategy // of a login, as the source
	Source     event.Source
	Flags      rest.PasskeyIntelFlags // of an append, as the situation
	Situation  string
	Rollout    *service.RolloutQuestion // of a rollout, but for the question that all have
	Risk       *Risk                    // nil but of risk
	Parameters map[string]any           // overrides
	Deleted    []Deleted                // passkeys that the account had
	Events     []event.Event            // what happened before, offers and deletions included
	Expect     []Expected

	Provider func(aaguid string) string // the name that stands for an AAGUID; nil or empty = none does
}

// Deleted is a passkey that the account had.
type Deleted struct {
	Credential account.Credential
	At         time.Time
}

// Expected is one thing that must be answered. The value is a bool, an int, a string, a []string or a map[string]any.
type Expected struct {
	Key   string
	Value any
}

// Text returns a file with the scenarios. Passkeys of the same WebAuthn ID are one to all of them. Each line of the comment comes first.
func Text(comment string, scenarios ...Scenario) ([]byte, error) {
	w := &writer{names: map[string]string{}, models: map[string]*yaml.Node{}}
	file := mapping()
	if len(scenarios) > 0 {
		put(file, "now", plain(scenarios[0].Now.UTC().Format(time.RFC3339Nano)))
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range scenarios {
		s := &scenarios[i]
		node, err := w.scenario(s)
		if err != nil {
			return nil, fmt.Errorf("scenario %q: %w", s.Name, err)
		}
		if !s.Now.Equal(scenarios[0].Now) {
			put(node, "now", plain(s.Now.UTC().Format(time.RFC3339Nano)))
		}
		list.Content = append(list.Content, node)
	}
	if len(w.credentials) > 0 {
		known := mapping()
		for _, c := range w.credentials {
			put(known, c.name, c.node)
		}
		put(file, "credentials", known)
	}
	w.around(file, scenarios)
	put(file, "scenarios", list)
	var out bytes.Buffer
	for line := range strings.Lines(comment) {
		fmt.Fprintf(&out, "# %s\n", strings.TrimRight(line, "\n"))
	}
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// writer collects what the scenarios of a file share.
type writer struct {
	names       map[string]string // of passkeys, by their WebAuthn ID
	credentials []credential
	models      map[string]*yaml.Node // by AAGUID, what had become of each
	modelled    []string              // the same AAGUIDs in the order in which they were met
}

type credential struct {
	name string
	node *yaml.Node
}

func (w *writer) scenario(s *Scenario) (*yaml.Node, error) {
	node := mapping()
	put(node, "name", quoted(s.Name))
	put(node, "action", plain(s.Action))
	client, err := document(s.Question.Client)
	if err != nil {
		return nil, err
	}
	put(node, "client", client)
	put(node, "env", text(environment(s.Question.Environment)))
	if user := user(s); user != nil {
		put(node, "user", user)
	}
	byID := w.passkeys(node, s)
	if s.Strategy != "" && s.Action == "login" {
		put(node, "strategy", plain(string(s.Strategy)))
	}
	if s.Source != "" && s.Action == "login" {
		put(node, "source", plain(string(s.Source)))
	}
	if err := asked(node, s); err != nil {
		return nil, err
	}
	if err := w.judged(node, s); err != nil {
		return nil, err
	}
	put(node, "process", quoted(s.Question.Process))
	if len(s.Parameters) > 0 {
		parameters, err := document(s.Parameters)
		if err != nil {
			return nil, err
		}
		put(node, "parameters", parameters)
	}
	if log := w.log(s, byID); len(log.Content) > 0 {
		put(node, "log", log)
	}
	expect := mapping()
	for _, e := range s.Expect {
		value := &yaml.Node{}
		if err := value.Encode(e.Value); err != nil {
			return nil, err
		}
		put(expect, e.Key, flow(value))
	}
	put(node, "expect", flow(expect))
	return node, nil
}

// asked writes what only some actions are asked with.
func asked(node *yaml.Node, s *Scenario) error {
	if s.Action == "append" {
		flags, err := document(s.Flags)
		if err != nil {
			return err
		}
		put(node, "flags", flow(flags))
		if s.Situation != "" {
			put(node, "situation", quoted(s.Situation))
		}
	}
	if r := s.Rollout; r != nil {
		put(node, "about", plain(r.Action))
		if r.Identifier != "" {
			put(node, "identifier", quoted(r.Identifier))
		}
		if r.Invitation != "" {
			put(node, "invitation", quoted(r.Invitation))
		}
		if len(r.Flags) > 0 {
			flags, err := document(r.Flags)
			if err != nil {
				return err
			}
			put(node, "flags", flow(flags))
		}
	}
	return nil
}

func environment(e service.Environment) string {
	switch {
	case e.Rejected:
		return "forged"
	case e.ID != "":
		return string(e.ID)
	default:
		return "none"
	}
}

// user is what is to be said of the account; nil if it is one like any other.
func user(s *Scenario) *yaml.Node {
	q, node := &s.Question, mapping()
	if q.Account == nil {
		put(node, "absent", yes())
	} else if q.Account.Status != account.StatusActive {
		put(node, "status", plain(string(q.Account.Status)))
	}
	if q.Account != nil && s.Risk != nil {
		if q.Account.CreatedMs != 0 {
			put(node, "created", moment(time.UnixMilli(q.Account.CreatedMs), s.Now))
		}
		put(node, "labels", texts(q.Account.Labels))
	}
	if q.LookupFailed {
		put(node, "lookupFailed", yes())
	}
	if len(node.Content) == 0 {
		return nil
	}
	return flow(node)
}

// passkeys names those of the account, and returns the names by the IDs that events know them by.
func (w *writer) passkeys(node *yaml.Node, s *Scenario) map[string]string {
	byID := map[string]string{}
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	if s.Question.Account != nil {
		for i := range s.Question.Account.Credentials {
			c := &s.Question.Account.Credentials[i]
			name := w.name(c, s)
			byID[string(c.ID)], byID[base64.RawURLEncoding.EncodeToString(c.CredentialID)] = name, name
			list.Content = append(list.Content, plain(name))
		}
	}
	for i := range s.Deleted {
		d := &s.Deleted[i]
		name := w.name(&d.Credential, s)
		byID[string(d.Credential.ID)] = name
		gone := mapping()
		put(gone, "use", plain(name))
		put(gone, "deleted", moment(d.At, s.Now))
		list.Content = append(list.Content, flow(gone))
	}
	if len(list.Content) > 0 {
		put(node, "passkeys", list)
	}
	return byID
}

// name returns what the file calls a passkey.
func (w *writer) name(c *account.Credential, s *Scenario) string {
	id := base64.RawURLEncoding.EncodeToString(c.CredentialID)
	if name, ok := w.names[id]; ok {
		return name
	}
	name := "passkey-" + strconv.Itoa(len(w.credentials)+1)
	node := mapping()
	put(node, "credentialID", plain(id))
	putHolder(node, c.AAGUID, s.Provider)
	if len(c.Transports) > 0 {
		put(node, "transports", texts(c.Transports))
	}
	if c.BackupEligible {
		put(node, "backupEligible", yes())
	}
	if c.BackupState {
		put(node, "backupState", yes())
	}
	putText(node, "attachment", c.Attachment)
	putText(node, "createdOS", c.CreatedOS)
	putText(node, "createdBrowser", c.CreatedBrowser)
	put(node, "created", moment(time.UnixMilli(c.CreatedMs), s.Now))
	putText(node, "env", string(c.Environment))
	if by := c.Attested(); by != account.TrustNone {
		put(node, "attested", plain(string(by)))
	}
	if len(c.UsedOn) > 0 {
		put(node, "usedOn", texts(c.UsedOn))
	}
	w.putState(node, c, s)
	w.names[id] = name
	w.credentials = append(w.credentials, credential{name, flow(node)})
	return name
}

// putHolder writes what holds a passkey, by its name if one stands for it.
func putHolder(node *yaml.Node, aaguid string, provider func(string) string) {
	if provider != nil && aaguid != "" {
		if name := provider(aaguid); name != "" {
			put(node, "provider", quoted(name))
			return
		}
	}
	putText(node, "aaguid", aaguid)
}

// log writes what happened before. Deletions become a word about the event that they delete.
func (w *writer) log(s *Scenario, byID map[string]string) *yaml.Node {
	deletions := map[string]time.Time{}
	for i := range s.Events {
		if e := &s.Events[i]; e.Type == event.Deleted {
			deletions[string(e.Deletes)] = time.UnixMilli(e.CreatedMs)
		}
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range s.Events {
		e := &s.Events[i]
		if e.Type == event.Deleted {
			continue
		}
		node := mapping()
		put(node, "at", moment(time.UnixMilli(e.CreatedMs), s.Now))
		put(node, "type", plain(string(e.Type)))
		switch e.Type {
		case event.LoginOffered:
			putText(node, "route", string(e.Route))
			putText(node, "source", string(e.Source))
		case event.LoginCompleted, event.AppendCompleted:
			putText(node, "ceremonyType", string(e.Route))
		case event.AppendOffered:
			putText(node, "kind", string(e.Kind))
		case event.RiskFeedback:
			if e.Feedback != nil {
				put(node, "outcome", plain(string(e.Feedback.Outcome)))
			}
			putText(node, "decision", string(e.Decision))
		}
		putText(node, "attachment", e.Attachment)
		if e.Type != event.AppendOffered && e.Type != event.LoginOffered { // nobody knows yet which it will be
			putText(node, "credential", byID[e.Credential])
		}
		putText(node, "process", e.Process)
		putText(node, "challenge", e.Challenge)
		putText(node, "env", string(e.Environment))
		if s.Risk != nil {
			putText(node, "address", s.Risk.Addresses[string(e.ID)])
		}
		if e.Expires != 0 {
			put(node, "expires", expiry(e, s.Now))
		}
		if e.Unproven() {
			put(node, "proven", plain("false"))
		}
		if at, ok := deletions[string(e.ID)]; ok {
			put(node, "deleted", moment(at, s.Now))
		}
		list.Content = append(list.Content, flow(node))
	}
	return list
}

// expiry writes when an event ends, far ends as they were sent.
func expiry(e *event.Event, now time.Time) *yaml.Node {
	at := time.UnixMilli(e.ExpiresMs())
	if at.Sub(now).Abs() > furthest {
		return plain(strconv.FormatInt(e.Expires, 10))
	}
	return moment(at, now)
}

// Units of distances, and how long they may be.
const (
	day      = 24 * time.Hour
	furthest = 100 * 365 * day
)

// moment writes a time as the distance from now, in the largest units that say it: -5d2h. Where milliseconds do not say it, or it is
// further away than distances may be, it is the time itself.
func moment(at, now time.Time) *yaml.Node {
	d, sign := at.Sub(now), ""
	if d%time.Millisecond != 0 || d.Abs() > furthest {
		return plain(at.UTC().Format(time.RFC3339Nano))
	}
	if d < 0 {
		sign, d = "-", -d
	}
	var said strings.Builder
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := int64(d / unit.length); n > 0 {
			fmt.Fprintf(&said, "%d%s", n, unit.letter)
			d %= unit.length
		}
	}
	if said.Len() == 0 {
		return plain("0s")
	}
	return plain(sign + said.String())
}

// document writes a value under the names that its JSON has.
func document(value any) (*yaml.Node, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(raw, &node); err != nil { // JSON is YAML
		return nil, err
	}
	return unstyled(node.Content[0]), nil
}

// unstyled takes away the braces and quotes of JSON where YAML needs none. Empty texts that mean nothing go with them.
func unstyled(node *yaml.Node) *yaml.Node {
	node.Style = 0
	if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
		node.Style = yaml.DoubleQuotedStyle
	}
	for i, inner := range node.Content {
		unstyled(inner)
		if node.Kind == yaml.MappingNode && i%2 == 0 {
			inner.Style = 0
		}
	}
	return node
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func flow(node *yaml.Node) *yaml.Node {
	node.Style |= yaml.FlowStyle
	return node
}

func put(node *yaml.Node, key string, value *yaml.Node) {
	node.Content = append(node.Content, plain(key), value)
}

// putText leaves out what is empty.
func putText(node *yaml.Node, key, value string) {
	if value != "" {
		put(node, key, text(value))
	}
}

func plain(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

func quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
}

// text is quoted where it would be read as something else.
func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

func yes() *yaml.Node { return plain("true") }

func texts(list []string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, one := range list {
		node.Content = append(node.Content, text(one))
	}
	return node
}

// Named returns what a file of the one scenario calls passkeys, in the order of their IDs.
func Named(s *Scenario, ids []ident.CredentialID) []string {
	w := &writer{names: map[string]string{}, models: map[string]*yaml.Node{}}
	names := w.passkeys(mapping(), s)
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		list = append(list, names[string(id)])
	}
	return list
}
