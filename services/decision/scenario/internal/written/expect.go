package written

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
	"github.com/keyward/keyward/services/decision/scenario/internal/vocabulary"
)

// Keys of expect.
const (
	KeyDetectionTags    = "detectionTags"
	KeyNotDetectionTags = "notDetectionTags"
	KeyHistory          = "history"
	KeyExclude          = "excludeCredentials"
	KeyFacts            = "facts"
	KeyPasskeys         = "passkeys"
	KeyNextEligible     = "nextEligibleAt"
	KeyReasons          = "reasons"
	KeyStepUp           = "stepUp"
	KeyNotNamed         = "exclude"
	KeyRetry            = "retrySeconds"
	KeyNotify           = "notifyUser"
	KeyWire             = "wire"
	KeyEvents           = "events"
)

var (
	sharedExpectations = []string{
		"allow", "tag", "rule", KeyHistory, KeyDetectionTags, KeyNotDetectionTags, KeyFacts, KeyPasskeys, KeyNextEligible,
	}
	loginExpectations = []string{"isCDACandidate", "preferImmediatelyAvailable", "hints", "allowCredentials"}
	expectations      = map[string][]string{
		Login:     append(slices.Clone(loginExpectations), "reason"),
		Append:    {"hints", KeyExclude, "attachment", "kind", "variant", "manualAllowed", "reason", "isRestrictedBrowser"},
		Mediation: loginExpectations,
		Rollout:   {"reason"},
	}
	riskExpectations = append(vocabulary.Judged, KeyReasons, KeyFacts, KeyStepUp, KeyNotNamed, KeyRetry, KeyNotify, KeyWire, KeyEvents)
	wireExpectations = []string{"status", "loginAllow", "appendAllow", "decisionTag", "errorType"}
)

// reasonsOf returns the words for why an action is refused; of any action if it is not known yet.
func reasonsOf(action string) []string {
	switch action {
	case Login:
		return vocabulary.LoginReasons
	case Append:
		return vocabulary.Reasons
	default:
		return slices.Concat(vocabulary.LoginReasons, vocabulary.Reasons)
	}
}

// expect reads what the engine must answer.
func (l *library) expect(s *Scenario, n, scenario *yaml.Node) {
	if n == nil || strictyaml.IsNull(n) || n.Kind == yaml.MappingNode && len(n.Content) == 0 {
		if scenario.Kind == yaml.MappingNode {
			l.Refuse(scenario, "the scenario expects nothing, so it could not fail")
		}
		return
	}
	allowed, what := slices.Concat(sharedExpectations, expectations[s.Action]), "expect"
	switch s.Action {
	case "":
		allowed = slices.Concat(sharedExpectations, expectations[Login], expectations[Append], riskExpectations)
	case Risk:
		allowed, what = riskExpectations, "expect of action "+Risk
	default:
		what += " of action " + s.Action
	}
	fields := l.Object(n, what, allowed)
	names := make([]string, len(s.passkeys))
	for i := range s.passkeys {
		names[i] = s.passkeys[i].name
	}
	for key := range strictyaml.Pairs(n) {
		value := fields[key.Value]
		if value == nil {
			continue
		}
		s.Expectations = append(s.Expectations, Expectation{Key: key.Value, Line: key.Line, Want: l.wanted(s, key.Value, value, names)})
	}
}

func (l *library) wanted(s *Scenario, key string, n *yaml.Node, passkeys []string) any {
	if s.Action == Rollout {
		switch key {
		case "tag":
			return l.Choice(n, "tag of rollout", vocabulary.RolloutTags)
		case "reason": // the name of a rule, which is the bundle's affair
			return l.Text(n, key)
		}
	}
	switch key {
	case "rule":
		return l.Text(n, key)
	case "verdict":
		return l.Choice(n, key, vocabulary.Verdicts)
	case "level":
		return l.Choice(n, key, vocabulary.Levels)
	case KeyReasons: // their names are the bundle's affair
		return l.texts(n, key)
	case "tag":
		return l.Choice(n, "decision tag", vocabulary.DecisionTags)
	case "kind":
		return l.Choice(n, key, append(slices.Clone(vocabulary.Kinds), ""))
	case "variant":
		return l.Choice(n, key, vocabulary.Variants)
	case "reason":
		return l.Choice(n, key, reasonsOf(s.Action))
	case "attachment":
		return l.Choice(n, key, attachments)
	case "hints":
		return l.choices(n, "hint", vocabulary.Hints)
	case KeyStepUp:
		return l.choices(n, "method", vocabulary.Methods)
	case KeyEvents:
		return l.choices(n, "event", vocabulary.Told)
	case KeyRetry:
		return l.Integer(n, key)
	case KeyWire:
		return l.wantedWire(n)
	case "allowCredentials", KeyExclude, KeyNotNamed:
		return l.choices(n, "passkey of the account", passkeys)
	case KeyDetectionTags, KeyNotDetectionTags:
		return l.detectionTags(n, key)
	case KeyHistory:
		return l.historyData(n)
	case KeyFacts:
		return l.wantedFacts(n)
	case KeyPasskeys:
		return l.wantedPasskeys(n, passkeys)
	case KeyNextEligible:
		return l.wantedMoment(n, s.Now)
	default:
		return l.Boolean(n, key)
	}
}

func (l *library) texts(n *yaml.Node, key string) []string {
	all := []string{}
	for _, element := range l.List(n, key) {
		all = append(all, l.Text(element, key))
	}
	slices.Sort(all)
	return all
}

func (l *library) choices(n *yaml.Node, what string, vocabulary []string) []string {
	chosen := []string{}
	for _, element := range l.List(n, "a list of "+what+"s") {
		chosen = append(chosen, l.Choice(element, what, vocabulary))
	}
	return chosen
}

func (l *library) detectionTags(n *yaml.Node, key string) []string {
	tags := []string{}
	for _, element := range l.List(n, key) {
		if vocabulary.StreakTag.MatchString(element.Value) {
			tags = append(tags, element.Value)
			continue
		}
		tags = append(tags, l.Choice(element, "detection tag", plainTags()))
	}
	return tags
}

// DetectionTag reports whether detection may have a tag of the name, as category/name.
func DetectionTag(tag string) bool {
	return vocabulary.StreakTag.MatchString(tag) || slices.Contains(plainTags(), tag)
}

// plainTags returns the tags that hold no number, sorted.
func plainTags() []string {
	var known []string
	for category, names := range vocabulary.DetectionNames {
		for _, name := range names {
			known = append(known, string(category)+"/"+name)
		}
	}
	slices.Sort(known)
	return known
}

// wantedFacts reads facts by their paths.
func (l *library) wantedFacts(n *yaml.Node) map[string]any {
	want := map[string]any{}
	for path, value := range strictyaml.Pairs(n) {
		switch {
		case !facts.KnownPath(path.Value):
			l.Refuse(path, "there is no fact %q; the bundle's schemas describe all, such as client.os", path.Value)
		case value.ShortTag() == "!!bool":
			want[path.Value] = l.Boolean(value, path.Value)
		case strictyaml.IsInteger(value):
			want[path.Value] = l.Integer(value, path.Value)
		default:
			want[path.Value] = l.Text(value, path.Value)
		}
	}
	if len(want) == 0 && n.Kind != yaml.MappingNode {
		l.Refuse(n, "facts must be an object of paths and values")
	}
	return want
}

// wantedWire reads what the caller is answered.
func (l *library) wantedWire(n *yaml.Node) map[string]any {
	want := map[string]any{}
	for name, value := range l.Object(n, KeyWire, wireExpectations) {
		switch name {
		case "status":
			want[name] = l.Integer(value, name)
		case "decisionTag":
			want[name] = l.Choice(value, "decision tag", vocabulary.DecisionTags)
		case "errorType":
			want[name] = l.Choice(value, name, vocabulary.Refusals)
		default:
			want[name] = l.Boolean(value, name)
		}
	}
	return want
}

var (
	reachable = []string{"local", "byPhone"}
	reaches   = map[string][]string{"local": {"likely", "uncertain", "none"}, "byPhone": {"high", "low", "none"}}
)

// wantedPasskeys reads how far passkeys can be reached, by name and way.
func (l *library) wantedPasskeys(n *yaml.Node, passkeys []string) map[string]any {
	want := map[string]any{}
	for name, value := range l.Object(n, KeyPasskeys, passkeys) {
		for way, reach := range l.Object(value, KeyPasskeys+"."+name, reachable) {
			want[name+"."+way] = l.Choice(reach, way, reaches[way])
		}
	}
	return want
}

// wantedMoment reads an offset from the scenario's clock, or a time; empty = none.
func (l *library) wantedMoment(n *yaml.Node, now time.Time) string {
	if n.Kind == yaml.ScalarNode && n.Value == "" {
		return ""
	}
	return WireTime(l.Moment(n, KeyNextEligible, now))
}

// WireTime is a moment as the wire has it; empty = none.
func WireTime(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339)
}

func (l *library) historyData(n *yaml.Node) map[string]any {
	fields := strictyaml.JSONFields(reflect.TypeFor[rest.HistoryData]())
	want := map[string]any{}
	for name, value := range l.Object(n, KeyHistory, slices.Sorted(maps.Keys(fields))) {
		what := KeyHistory + "." + name
		if reflect.TypeFor[rest.HistoryData]().Field(fields[name]).Type.Kind() == reflect.Bool {
			want[name] = l.Boolean(value, what)
		} else {
			want[name] = l.Integer(value, what)
		}
	}
	return want
}

// HistoryOf returns the wire's historyData by the names of its members, with numbers as int64.
func HistoryOf(h rest.HistoryData) map[string]any {
	v := reflect.ValueOf(h)
	all := make(map[string]any, v.NumField())
	for name, i := range strictyaml.JSONFields(v.Type()) {
		if f := v.Field(i); f.CanInt() {
			all[name] = f.Int()
		} else {
			all[name] = f.Interface()
		}
	}
	return all
}

// Mismatch is an expectation that was not met. Of history, facts and passkeys only the members that differ are named, as
// history.defaultCount.
type Mismatch struct {
	Key      string `json:"key"`
	Expected any    `json:"expected"`
	Actual   any    `json:"actual"`
}

// Compare returns what was not met, in the file's order. actual has a value for every key that an expectation may have.
func (s *Scenario) Compare(actual map[string]any) []Mismatch {
	var all []Mismatch
	for _, e := range s.Expectations {
		got := actual[e.Key]
		switch e.Key {
		case KeyDetectionTags, KeyNotDetectionTags:
			detected, _ := actual[KeyDetectionTags].([]string)
			if !tagsMet(e, detected) {
				all = append(all, Mismatch{Key: e.Key, Expected: e.Want, Actual: detected})
			}
		case KeyHistory, KeyFacts, KeyPasskeys, KeyWire:
			want, _ := e.Want.(map[string]any)
			have, _ := got.(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if want[name] != have[name] {
					all = append(all, Mismatch{Key: e.Key + "." + name, Expected: want[name], Actual: have[name]})
				}
			}
		case KeyExclude, KeyNotNamed:
			if !slices.Equal(sorted(e.Want), sorted(got)) {
				all = append(all, Mismatch{Key: e.Key, Expected: sorted(e.Want), Actual: sorted(got)})
			}
		default:
			if !reflect.DeepEqual(e.Want, got) {
				all = append(all, Mismatch{Key: e.Key, Expected: e.Want, Actual: got})
			}
		}
	}
	return all
}

func tagsMet(e Expectation, detected []string) bool {
	tags, _ := e.Want.([]string)
	return !slices.ContainsFunc(tags, func(tag string) bool {
		return slices.Contains(detected, tag) != (e.Key == KeyDetectionTags)
	})
}

func sorted(list any) []string {
	texts, _ := list.([]string)
	texts = slices.Clone(texts)
	slices.SortFunc(texts, strings.Compare)
	return texts
}
