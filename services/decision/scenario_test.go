package decision_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
)

type scenarioFile struct {
	Now         time.Time                 `yaml:"now"`
	Clients     map[string]map[string]any `yaml:"clients"`
	Credentials map[string]map[string]any `yaml:"credentials"`
	Scenarios   []scenario                `yaml:"scenarios"`
}

type scenario struct {
	Name      string         `yaml:"name"`
	Action    string         `yaml:"action"`
	Client    map[string]any `yaml:"client"`
	Env       string         `yaml:"env"`
	User      map[string]any `yaml:"user"`
	Passkeys  []any          `yaml:"passkeys"`
	Strategy  string         `yaml:"strategy"`
	Flags     map[string]any `yaml:"flags"`
	Situation string         `yaml:"situation"`
	Process   string         `yaml:"process"`
	Params    map[string]any `yaml:"parameters"`
	Log       []logEntry     `yaml:"log"`
	Expect    map[string]any `yaml:"expect"`
}

type logEntry struct {
	At, Type, Route, Kind, Process, Challenge, Env, Credential, CeremonyType, Expires, Deleted, User string
}

// UnmarshalYAML reads an entry whose scalars may be numbers.
func (e *logEntry) UnmarshalYAML(node *yaml.Node) error {
	fields := map[string]*string{
		"at": &e.At, "type": &e.Type, "route": &e.Route, "kind": &e.Kind, "process": &e.Process, "challenge": &e.Challenge, "env": &e.Env,
		"credential": &e.Credential, "ceremonyType": &e.CeremonyType, "expires": &e.Expires, "deleted": &e.Deleted, "user": &e.User,
	}
	for i := 0; i < len(node.Content); i += 2 {
		field, ok := fields[node.Content[i].Value]
		if !ok {
			return fmt.Errorf("line %d: unknown key %s", node.Content[i].Line, node.Content[i].Value)
		}
		*field = node.Content[i+1].Value
	}
	return nil
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	raw, err := policies.Bundle.ReadFile("scenarios/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file scenarioFile
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, sc := range file.Scenarios {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, &file, sc)
			got := w.decide(t)
			want := map[string]any{}
			for key, value := range sc.Expect {
				want[key] = plain(t, value)
				if key == "history" {
					got[key] = subset(got[key].(map[string]any), want[key].(map[string]any))
				}
			}
			checkTags(t, want, got)
			for key := range got {
				if _, asked := want[key]; !asked {
					delete(got, key)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("expected (-), got (+):\n%s", diff)
			}
		})
	}
}

// checkTags replaces the two lists by what is wrong with them, which should be nothing.
func checkTags(t *testing.T, want, got map[string]any) {
	t.Helper()
	tags := got["tags"].([]any)
	for _, key := range []string{"detectionTags", "notDetectionTags"} {
		list, ok := want[key].([]any)
		if !ok {
			continue
		}
		for _, tag := range list {
			if slices.Contains(tags, tag) != (key == "detectionTags") {
				t.Errorf("%s: %v, detected were %v", key, tag, tags)
			}
		}
		delete(want, key)
	}
}

func subset(got, want map[string]any) map[string]any {
	kept := map[string]any{}
	for key := range want {
		kept[key] = got[key]
	}
	return kept
}

// world is what a scenario describes.
type world struct {
	svc      service.Decision
	scenario scenario
	question service.Question
	names    map[ident.CredentialID]string
}

func newWorld(t *testing.T, file *scenarioFile, sc scenario) *world {
	t.Helper()
	w := &world{scenario: sc, names: map[ident.CredentialID]string{}}
	acct := &account.Account{Project: "pro-1", ID: "usr-1", Status: rest.UserStatusActive}
	if status, ok := sc.User["status"].(string); ok {
		acct.Status = rest.UserStatus(status)
	}
	for i, p := range sc.Passkeys {
		name, fields := named(p, file.Credentials)
		c := credential(t, fields, file.Now)
		c.ID = ident.CredentialID("cre-" + strconv.Itoa(i+1))
		w.names[c.ID] = name
		acct.Credentials = append(acct.Credentials, c)
	}
	_, client := named(sc.Client, file.Clients)
	w.question = service.Question{Project: acct.Project, Account: acct, Process: sc.Process}
	convert(t, client, &w.question.Client)
	switch sc.Env {
	case "none", "":
	case "forged":
		w.question.Environment.Rejected = true
	default:
		private := w.question.Client.PrivateMode
		w.question.Environment = service.Environment{ID: ident.EnvironmentID(sc.Env), Known: private == nil || !*private}
	}
	if w.question.Process == "" {
		w.question.Process = "unused"
	}
	w.question.LookupFailed = sc.User["lookupFailed"] == true
	if sc.User["absent"] == true {
		w.question.Account = nil
	}
	events, offers := w.replay(t, file.Now)
	dir := ""
	if len(sc.Params) > 0 {
		dir = policyDir(t)
		override(t, dir, sc.Params)
	}
	w.svc = newService(t, serviceOptions{dir: dir, events: fakeEvents{events: events, offers: offers}, now: file.Now})
	return w
}

// replay turns the log into what the events service would hold: every event joined to its offer when it was appended.
func (w *world) replay(t *testing.T, now time.Time) (events, offers []event.Event) {
	t.Helper()
	var known []event.Event
	for i, entry := range w.scenario.Log {
		if entry.User != "" {
			continue
		}
		e := event.Event{
			ID: ident.EventID("pke-" + strconv.Itoa(i+1)), Project: "pro-1", User: "usr-1", Type: event.Type(entry.Type),
			CreatedMs: moment(t, entry.At, now).UnixMilli(), Process: entry.Process, Environment: ident.EnvironmentID(entry.Env),
			Challenge: entry.Challenge, Route: event.Route(entry.Route), Kind: event.Kind(entry.Kind), Credential: w.credentialID(entry.Credential),
		}
		switch e.Type {
		case event.LoginOffered, event.AppendOffered:
			e.Ceremony = ident.ChallengeID("was-" + strconv.Itoa(i+1))
		case event.LoginCompleted:
			e.Route = event.Route(entry.CeremonyType)
		}
		if entry.Expires != "" {
			e.Expires = moment(t, entry.Expires, now).Unix()
		}
		e = event.Join(e, known, time.Hour)
		known = append(known, e)
		if e.Type == event.LoginOffered || e.Type == event.LoginDenied {
			offers = append(offers, e)
			continue
		}
		events = append(events, e)
		if entry.Deleted != "" {
			events = append(events, event.Event{
				ID: ident.EventID("pke-" + strconv.Itoa(1000+i)), Project: "pro-1", User: "usr-1", Type: event.Deleted, Deletes: e.ID,
				CreatedMs: moment(t, entry.Deleted, now).UnixMilli(),
			})
		}
	}
	return events, offers
}

func (w *world) credentialID(name string) string {
	for id, known := range w.names {
		if known == name {
			return string(id)
		}
	}
	return name
}

func (w *world) decide(t *testing.T) map[string]any {
	t.Helper()
	var shared service.Verdict
	got := map[string]any{}
	switch w.scenario.Action {
	case "login":
		v, err := w.svc.Login(t.Context(), service.LoginQuestion{Question: w.question, Strategy: rest.CrossDeviceAuthenticationStrategy(w.scenario.Strategy)})
		if err != nil {
			t.Fatal(err)
		}
		shared = v.Verdict
		got["isCDACandidate"], got["preferImmediatelyAvailable"] = v.IsCDACandidate, v.PreferImmediatelyAvailable
		got["hints"], got["allowCredentials"] = texts(v.Hints), w.list(v.AllowCredentials)
	case "append":
		q := service.AppendQuestion{Question: w.question, Situation: w.scenario.Situation}
		convert(t, w.scenario.Flags, &q.Flags)
		v, err := w.svc.Append(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		shared = v.Verdict
		got["kind"], got["manualAllowed"], got["isRestrictedBrowser"], got["attachment"] = string(v.Kind), v.ManualAllowed, v.IsRestrictedBrowser, v.Attachment
		got["hints"], got["excludeCredentials"], got["reason"] = texts(v.Hints), w.list(v.ExcludeCredentials), ""
		if reason := rest.PasskeyAppendStartRspAppendNotAllowedReason(v.Reason); reason.Valid() {
			got["reason"] = v.Reason
		}
	default:
		t.Fatalf("unknown action %q", w.scenario.Action)
	}
	got["allow"], got["tag"], got["rule"] = shared.Allow, string(shared.Tag), shared.Rule
	got["history"] = plain(t, shared.Insights.HistoryData)
	tags := []any{}
	for _, tag := range shared.Insights.Tags {
		tags = append(tags, string(tag.Category)+"/"+tag.Name)
	}
	got["tags"] = tags
	return got
}

func (w *world) list(ids []ident.CredentialID) []any {
	names := []any{}
	for _, id := range ids {
		names = append(names, w.names[id])
	}
	return names
}

func texts(list []string) []any {
	out := []any{}
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

// named resolves {use: NAME, ...} and plain NAME.
func named(value any, library map[string]map[string]any) (string, map[string]any) {
	if name, ok := value.(string); ok {
		return name, library[name]
	}
	changes := value.(map[string]any)
	name, _ := changes["use"].(string)
	return name, merge(library[name], changes)
}

func merge(base, changes map[string]any) map[string]any {
	merged := maps.Clone(base)
	for key, value := range changes {
		inner, isMap := value.(map[string]any)
		below, wasMap := merged[key].(map[string]any)
		switch {
		case key == "use":
		case value == nil:
			delete(merged, key)
		case isMap && wasMap:
			merged[key] = merge(below, inner)
		default:
			merged[key] = value
		}
	}
	return merged
}

func credential(t *testing.T, fields map[string]any, now time.Time) account.Credential {
	t.Helper()
	fields = maps.Clone(fields)
	id, _ := fields["credentialID"].(string)
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	created := moment(t, fields["created"].(string), now).UnixMilli()
	env, _ := fields["env"].(string)
	for _, key := range []string{"credentialID", "created", "env"} {
		delete(fields, key)
	}
	var c account.Credential
	convert(t, fields, &c)
	c.CredentialID, c.CreatedMs, c.LastUsedMs, c.Environment = raw, created, created, ident.EnvironmentID(env)
	return c
}

// moment reads an offset like -179d23h59m59s; without a sign it lies in the future.
func moment(t *testing.T, offset string, now time.Time) time.Time {
	t.Helper()
	rest, negative := strings.CutPrefix(offset, "-")
	var total time.Duration
	if days, after, found := strings.Cut(rest, "d"); found {
		n, err := strconv.Atoi(days)
		if err != nil {
			t.Fatalf("offset %q: %v", offset, err)
		}
		total, rest = time.Duration(n)*24*time.Hour, after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil {
			t.Fatalf("offset %q: %v", offset, err)
		}
		total += d
	}
	if negative {
		total = -total
	}
	return now.Add(total)
}

// convert brings YAML values into a type by way of JSON and refuses what the type does not know.
func convert(t *testing.T, from, into any) {
	t.Helper()
	raw, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

func plain(t *testing.T, value any) any {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
