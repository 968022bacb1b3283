package written

import (
	"cmp"
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/scenario/internal/around"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
	"github.com/keyward/keyward/services/decision/scenario/internal/vocabulary"
)

// Keys of the format.
var (
	fileKeys   = []string{"now", "clients", "credentials", "lists", "networks", "authenticators", "scenarios"}
	sharedKeys = []string{"name", "action", "now", "client", "env", "user", "passkeys", "process", "parameters", "log", "expect"}
	actionKeys = map[string][]string{
		Login: {"strategy", "source"}, Append: {"flags", "situation"}, Mediation: {}, Rollout: {"about", "identifier", "invitation", "flags"},
		Risk: {"stage", "reasons", "used", "created", "velocity", "about", "context"},
	}
	userKeys       = []string{"status", "absent", "lookupFailed", "created", "labels"}
	credentialKeys = []string{
		"credentialID", "aaguid", "provider", "transports", "backupEligible", "backupState", "attachment", "createdOS", "createdBrowser",
		"created", "env", "usedOn", "attested", "lastUsed", "counter",
	}
)

// Words of the format.
var (
	stages = vocabulary.Words(
		facts.LoginStart, facts.AppendStart, facts.MediationStart, facts.LoginFinish, facts.AppendFinish, facts.Evaluate,
	)
	abouts      = []string{service.RolloutLogin, service.RolloutAppend, service.RolloutManage}
	statuses    = vocabulary.Words(account.StatusActive, account.StatusPending, account.StatusDisabled)
	sources     = vocabulary.Words(event.Sources()...)
	attachments = []string{"platform", "cross-platform", ""}
	trusts      = vocabulary.Words(account.TrustNone, account.TrustSelf, account.TrustUnverified, account.TrustVerified)
)

// The two words that env has beside names.
const (
	envNone   = "none"
	envForged = "forged"
)

// Everybody in a scenario is this user. The project is one that no server creates, so that a bundle's overrides for a project do not
// reach it.
const (
	projectID = ident.ProjectID("pro-0")
	userID    = ident.UserID("usr-1")
)

// unclear stands for a clock that could not be read, so that the form of offsets can be judged all the same.
var unclear = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

var aaguidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// library is what the scenarios of a file share.
type library struct {
	*strictyaml.Reader
	now         time.Time
	clients     map[string]*yaml.Node
	credentials map[string]*yaml.Node
	systems     map[string][]string // operating systems by the environment that a credential was created in
	lists       *around.Lists       // nil = the file has none
	networks    around.Networks
	models      around.Authenticators
}

// Parse reads one file's content; file is its name in problems.
func Parse(file string, content []byte) ([]Scenario, strictyaml.Problems) {
	r := strictyaml.New(file)
	root := r.Document(content)
	if root == nil {
		return nil, r.Problems()
	}
	fields := r.Object(root, "the file", fileKeys)
	l := &library{Reader: r, clients: map[string]*yaml.Node{}, credentials: map[string]*yaml.Node{}, systems: map[string][]string{}}
	if n := fields["now"]; n != nil {
		l.now = cmp.Or(r.Clock(n, "now"), unclear)
	}
	l.define(fields["clients"], fields["credentials"])
	l.lists, l.networks = around.ReadLists(r, fields["lists"]), around.ReadNetworks(r, fields["networks"])
	l.models = around.ReadAuthenticators(r, fields["authenticators"])
	list := r.List(fields["scenarios"], "scenarios")
	if len(list) == 0 && r.Noted() == 0 {
		r.Refuse(root, "the file has no scenarios")
	}
	var scenarios []Scenario
	for _, n := range list {
		scenarios = append(scenarios, l.scenario(n))
	}
	return scenarios, r.Problems()
}

// define reads the named clients and credentials, also to find fault with those that nobody uses.
func (l *library) define(clients, credentials *yaml.Node) {
	if clients != nil && !strictyaml.IsNull(clients) {
		for name, n := range l.Named(clients, "clients") {
			l.clients[name] = strictyaml.Merge(nil, n)
			l.client(l.clients[name])
		}
	}
	if credentials == nil || strictyaml.IsNull(credentials) {
		return
	}
	for name, n := range l.Named(credentials, "credentials") {
		l.credentials[name] = strictyaml.Merge(nil, n)
		c := l.credential(l.credentials[name], cmp.Or(l.now, unclear), false).credential
		if env, os := string(c.Environment), c.CreatedOS; env != "" && os != "" && !slices.Contains(l.systems[env], os) {
			l.systems[env] = append(l.systems[env], os)
		}
	}
}

func (l *library) scenario(n *yaml.Node) Scenario {
	s := Scenario{File: l.File(), Line: n.Line, Now: l.now, Lists: l.lists, Networks: l.networks, Models: l.models}
	before := l.Noted()
	fields := l.keys(n, &s)
	misspelt := l.Noted() > before
	if given := fields["now"]; given != nil {
		s.Now = l.Clock(given, "now")
	} else if s.Now.IsZero() && n.Kind == yaml.MappingNode {
		l.Refuse(n, "the scenario has no clock: give now in the file or in the scenario")
	}
	s.Now = cmp.Or(s.Now, unclear)
	s.Question = service.Question{Project: projectID}
	s.Question.Client = l.scenarioClient(fields["client"], n)
	private := s.Question.Client.PrivateMode
	s.Question.Environment = environment(l.Text(fields["env"], "env"), private != nil && *private)
	l.accountOf(&s, fields)
	s.Strategy = rest.CrossDeviceAuthenticationStrategy(l.Choice(fields["strategy"], "strategy", vocabulary.Strategies))
	s.Source = event.Source(l.Choice(fields["source"], "source", sources))
	l.flagsOf(&s, fields["flags"])
	if s.Action != Risk {
		s.Rollout.Action = cmp.Or(l.Choice(fields["about"], "about", abouts), service.RolloutLogin)
	}
	s.Rollout.Identifier, s.Rollout.Invitation = l.Text(fields["identifier"], "identifier"), l.Text(fields["invitation"], "invitation")
	s.Stage = facts.Stage(cmp.Or(l.Choice(fields["stage"], "stage", stages), string(facts.LoginStart)))
	l.finishOf(&s, n, fields)
	l.askedOf(&s, n, fields)
	s.Situation = l.Text(fields["situation"], "situation")
	s.Parameters = l.severities(fields["reasons"], l.parameters(fields["parameters"]))
	l.velocityOf(&s, fields["velocity"])
	used := l.history(&s, fields["log"])
	if given := fields["process"]; given != nil {
		s.Question.Process = l.Text(given, "process")
	} else {
		s.Question.Process = unused(used)
	}
	if !misspelt || fields["expect"] != nil {
		l.expect(&s, fields["expect"], n)
	}
	return s
}

// flagsOf reads flags, which are the wire's of an append and anything of a rollout.
func (l *library) flagsOf(s *Scenario, n *yaml.Node) {
	switch {
	case n == nil:
	case s.Action == Rollout:
		s.Rollout.Flags = map[string]string{}
		for name, value := range l.Named(n, "flags") {
			s.Rollout.Flags[name] = l.Text(value, "flags."+name)
		}
	default:
		s.Flags = l.flags(n)
	}
}

// keys reads name and action, which decide what other keys there may be.
func (l *library) keys(n *yaml.Node, s *Scenario) map[string]*yaml.Node {
	allowed := sharedKeys
	s.Name = l.Text(strictyaml.Get(n, "name"), "name")
	if given := strictyaml.Get(n, "action"); given != nil {
		s.Action = l.Choice(given, "action", Actions())
		allowed = slices.Concat(allowed, actionKeys[s.Action])
	} else if n.Kind == yaml.MappingNode {
		l.Refuse(n, "the scenario has no action; there are %s", strings.Join(Actions(), ", "))
	}
	if strictyaml.Get(n, "name") == nil && n.Kind == yaml.MappingNode {
		l.Refuse(n, "the scenario has no name")
	}
	if s.Action == "" {
		for _, more := range actionKeys {
			allowed = slices.Concat(allowed, more)
		}
	}
	what := "a scenario"
	if s.Action != "" {
		what += " of action " + s.Action
	}
	return l.Object(n, what, allowed)
}

func (l *library) scenarioClient(n, scenario *yaml.Node) rest.ClientInformation {
	if n == nil {
		if scenario.Kind == yaml.MappingNode {
			l.Refuse(scenario, "the scenario has no client")
		}
		return rest.ClientInformation{}
	}
	_, merged := l.use(n, "client", l.clients)
	if merged == nil {
		return rest.ClientInformation{}
	}
	return l.client(merged)
}

// use resolves NAME, { use: NAME, ... } and an object that stands for itself. It returns nil if there is no such thing.
func (l *library) use(n *yaml.Node, what string, from map[string]*yaml.Node) (string, *yaml.Node) {
	known := slices.Sorted(maps.Keys(from))
	if n.Kind != yaml.MappingNode {
		name := l.Choice(n, what, known)
		return name, from[name]
	}
	given := strictyaml.Get(n, "use")
	if given == nil {
		return "", strictyaml.Merge(nil, n)
	}
	name := l.Choice(given, what, known)
	if from[name] == nil {
		return "", nil
	}
	changes := *n
	changes.Content = nil
	for key, value := range strictyaml.Pairs(n) {
		if key.Value != "use" {
			changes.Content = append(changes.Content, key, value)
		}
	}
	return name, strictyaml.Merge(from[name], &changes)
}

func environment(env string, private bool) service.Environment {
	switch env {
	case "", envNone:
		return service.Environment{}
	case envForged:
		return service.Environment{Rejected: true}
	default:
		return service.Environment{ID: ident.EnvironmentID(env), Known: !private}
	}
}

// accountOf reads user and passkeys.
func (l *library) accountOf(s *Scenario, fields map[string]*yaml.Node) {
	a := &account.Account{Project: projectID, ID: userID, Status: account.StatusActive}
	absent := false
	if n := fields["user"]; n != nil {
		user := l.Object(n, "user", userKeys)
		if given := user["status"]; given != nil {
			a.Status = account.Status(l.Choice(given, "status", statuses))
		}
		if given := user["created"]; given != nil {
			a.CreatedMs = l.Moment(given, "created", s.Now).UnixMilli()
		}
		if user["labels"] != nil {
			a.Labels = []string{}
		}
		for _, label := range l.List(user["labels"], "labels") {
			a.Labels = append(a.Labels, l.Text(label, "label"))
		}
		absent = l.Boolean(user["absent"], "absent")
		s.Question.LookupFailed = l.Boolean(user["lookupFailed"], "lookupFailed")
	}
	if !absent {
		s.Question.Account = a
	}
	for i, n := range l.List(fields["passkeys"], "passkeys") {
		name, merged := l.use(n, "passkey", l.credentials)
		if merged == nil {
			continue
		}
		p := l.credential(merged, s.Now, true)
		if p.name = name; name == "" {
			p.name = base64.RawURLEncoding.EncodeToString(p.credential.CredentialID)
		}
		p.credential.ID = rowID(i)
		s.passkeys = append(s.passkeys, p)
	}
}

// credential reads one passkey, which may have been deleted if it is one of an account.
func (l *library) credential(n *yaml.Node, now time.Time, ofAccount bool) passkey {
	allowed := credentialKeys
	if ofAccount {
		allowed = slices.Concat(allowed, []string{"deleted"})
	}
	fields := l.Object(n, "a passkey", allowed)
	var p passkey
	c := &p.credential
	c.CredentialID = l.credentialID(n, fields["credentialID"])
	if given := fields["aaguid"]; given != nil {
		if c.AAGUID = strings.ToLower(l.Text(given, "aaguid")); c.AAGUID != "" && !aaguidForm.MatchString(c.AAGUID) {
			l.Refuse(given, "aaguid %q is no UUID; a provider by its name is a provider", c.AAGUID)
		}
	}
	p.provider = l.provider(fields)
	for _, t := range l.List(fields["transports"], "transports") {
		c.Transports = append(c.Transports, l.Choice(t, "transport", vocabulary.Transports))
	}
	c.BackupEligible = l.Boolean(fields["backupEligible"], "backupEligible")
	c.BackupState = l.Boolean(fields["backupState"], "backupState")
	c.Attachment = l.Choice(fields["attachment"], "attachment", attachments)
	if given := fields["attested"]; given != nil {
		if by := account.Trust(l.Choice(given, "attested", trusts)); by != account.TrustNone {
			c.Attestation = &account.Attestation{Format: "packed", Trust: by}
		}
	}
	c.CreatedOS = l.Text(fields["createdOS"], "createdOS")
	c.CreatedBrowser = l.Text(fields["createdBrowser"], "createdBrowser")
	c.Environment = ident.EnvironmentID(l.Text(fields["env"], "env"))
	for _, os := range l.List(fields["usedOn"], "usedOn") {
		c.UsedOn = append(c.UsedOn, l.Text(os, "usedOn"))
	}
	if given := fields["created"]; given != nil {
		c.CreatedMs = l.Moment(given, "created", now).UnixMilli()
	} else {
		c.CreatedMs = now.UnixMilli()
	}
	l.useOf(c, fields, now)
	if given := fields["deleted"]; given != nil {
		p.deletedMs = l.Moment(given, "deleted", now).UnixMilli()
	}
	return p
}

// provider reads what holds a passkey, by its name. Which there are is the bundle's affair.
func (l *library) provider(fields map[string]*yaml.Node) Provider {
	given := fields["provider"]
	if given == nil {
		return Provider{}
	}
	p := Provider{Name: strings.TrimSpace(l.Text(given, "provider")), Line: given.Line}
	switch {
	case p.Name == "":
		l.Refuse(given, "provider is empty: it is a name of the bundle's aaguids")
	case fields["aaguid"] != nil && l.Text(fields["aaguid"], "aaguid") != "":
		l.Refuse(given, "provider %q beside an aaguid, which says it too", p.Name)
	}
	return p
}

func (l *library) credentialID(passkey, n *yaml.Node) []byte {
	if n == nil {
		if passkey.Kind == yaml.MappingNode {
			l.Refuse(passkey, "the passkey has no credentialID")
		}
		return nil
	}
	text := l.Text(n, "credentialID")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		l.Refuse(n, "credentialID %q is no base64url without padding", text)
	}
	return raw
}

// parameters reads the overrides. Which there are is the bundle's affair.
func (l *library) parameters(n *yaml.Node) []Parameter {
	if n == nil || strictyaml.IsNull(n) {
		return nil
	}
	var list []Parameter
	l.Named(n, "parameters")
	for key, node := range strictyaml.Pairs(n) {
		var value any
		if err := node.Decode(&value); err != nil {
			l.Refuse(node, "parameter %s: %v", key.Value, err)
			continue
		}
		list = append(list, Parameter{Name: key.Value, Value: value, Line: key.Line})
	}
	return list
}

// unused returns a processID that is not among those given.
func unused(used []string) string {
	process := "this-process"
	for slices.Contains(used, process) {
		process += "-"
	}
	return process
}

// client reads a clientInformation document, with the keys of the wire.
func (l *library) client(n *yaml.Node) rest.ClientInformation {
	var info rest.ClientInformation
	l.Decode(n, "client", &info)
	return info
}

// flags reads passkeyIntelFlags.
func (l *library) flags(n *yaml.Node) rest.PasskeyIntelFlags {
	var flags rest.PasskeyIntelFlags
	l.Decode(n, "flags", &flags)
	return flags
}

// severities adds to the parameters how grave reasons are.
func (l *library) severities(n *yaml.Node, parameters []Parameter) []Parameter {
	if n == nil {
		return parameters
	}
	graver := map[string]any{}
	for name, value := range l.Named(n, "reasons") {
		if severity := l.Object(value, "reasons."+name, []string{"severity"})["severity"]; severity != nil {
			graver[name] = l.Integer(severity, "severity")
		}
	}
	changes := map[string]any{"severities": graver}
	for i, p := range parameters {
		if below, ok := p.Value.(map[string]any); ok && p.Name == Risk {
			maps.Copy(changes, below)
			changes["severities"] = graver
			parameters[i].Value = changes
			return parameters
		}
	}
	return append(parameters, Parameter{Name: Risk, Value: changes, Line: n.Line})
}
