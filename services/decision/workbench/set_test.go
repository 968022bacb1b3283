package workbench_test

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/workbench"
)

// listing is the default bundle with the lists bad, of addresses, and nets, of autonomous systems; who is in bad is barred.
func listing(files fstest.MapFS) {
	data := files["data.json"].Data
	data = bytes.Replace(data, []byte(`"lists": {}`), []byte(
		`"lists": {"bad": {"kind": "address", "entries": ["203.0.113.0/24"]}, "nets": {"kind": "asn", "entries": [64499]}}`), 1)
	data = bytes.Replace(data, []byte(`"blockedLists": []`), []byte(`"blockedLists": ["bad"]`), 1)
	files["data.json"] = &fstest.MapFile{Data: data}
}

func (b *bench) list(t *testing.T, name string, change operator.OperatorListChangeReq) (operator.OperatorList, error) {
	t.Helper()
	return b.ChangeList(t.Context(), service.ForOperator[inquiry.ListChange]{
		Operator: ada, Body: inquiry.ListChange{Name: name, Change: change},
	})
}

func (b *bench) turn(t *testing.T, name string, to operator.SwitchReq) (operator.Switch, error) {
	t.Helper()
	return b.TurnSwitch(t.Context(), service.ForOperator[inquiry.SwitchTurn]{Operator: ada, Body: inquiry.SwitchTurn{Name: name, Turn: to}})
}

// barred reports whether the rules of risk bar a client for the list that it is in.
func barred(t *testing.T, svc *decision.Service, from string) bool {
	t.Helper()
	said, err := svc.Login(t.Context(), service.LoginQuestion{Question: service.Question{
		Project: "pro-1", Client: rest.ClientInformation{RemoteAddress: from},
	}})
	if err != nil || said.Risk == nil {
		t.Fatalf("%+v, %v", said, err)
	}
	return slices.ContainsFunc(said.Risk.Reasons, func(r service.RiskReason) bool { return r.Code == "blocked-address" })
}

func of[T any](v T) *T { return &v }

func TestWhatIsAddedToAListCountsFromTheNextCallOnUntilItExpiresOrIsRemoved(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.live(t, ada, b.push(t, ada, revised(t, "lists", listing)).Number)
	var late atomic.Int64
	ahead := func(cfg *decision.Config, deps *decision.Deps) {
		cfg.MaxAge = 0
		deps.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	}
	running := []*decision.Service{b.instance(t, ahead), b.instance(t, ahead)}
	eventually(t, "both instances are heard of", func() bool { return len(b.status(t).Instances) == 2 })
	everywhere := func(from string, want bool) {
		t.Helper()
		for _, svc := range running {
			if got := barred(t, svc, from); got != want {
				t.Errorf("%s is barred: %v", from, got)
			}
		}
	}
	everywhere("203.0.113.7", true) // as the bundle has it
	everywhere("198.51.100.7", false)
	kind := of(operator.OperatorListChangeReqKindAddress)
	added, err := b.list(t, "bad", operator.OperatorListChangeReq{
		Kind: kind, Add: &[]string{"198.51.100.0/24", "192.0.2.1"}, Seconds: of(int32(3600)), Reason: of("an attack"),
	})
	if err != nil || added.Everywhere == nil || !*added.Everywhere || len(added.Entries) != 2 || added.Entries[0].Entry != "192.0.2.1/32" ||
		added.Warning != nil {
		t.Fatalf("%+v, %v", added, err)
	}
	everywhere("198.51.100.7", true)
	everywhere("192.0.2.1", true)
	everywhere("192.0.2.2", false)
	removed, err := b.list(t, "bad", operator.OperatorListChangeReq{Remove: &[]string{"192.0.2.1"}})
	if err != nil || !*removed.Everywhere || len(removed.Entries) != 1 || len(*removed.History) != 3 ||
		(*removed.History)[0].What != "removed" {
		t.Fatalf("%+v, %v", removed, err)
	}
	everywhere("192.0.2.1", false)
	late.Store(int64(time.Hour))
	everywhere("198.51.100.7", false)
	everywhere("203.0.113.7", true)
	late.Store(0)

	// One that starts later knows them, and one that loses the store goes on with them.
	running = append(running, b.instance(t, nil))
	everywhere("198.51.100.7", true)
	if err := b.js.DeleteStream(t.Context(), "KV_"+bus.ReleasesBucket); err != nil {
		t.Fatal(err)
	}
	everywhere("198.51.100.7", true)

	b.mu.Lock()
	defer b.mu.Unlock()
	var told []audit.Event
	for _, e := range b.told {
		if e.Type == audit.ListChanged {
			told = append(told, e)
		}
	}
	if len(told) != 2 || told[0].ListBefore != nil || told[0].List.Entries != 2 || told[0].Reason != "an attack" || told[0].UntilMs == 0 ||
		told[1].ListBefore.Entries != 2 || told[1].List.Entries != 1 || !slices.Equal(told[1].Removed, []string{"192.0.2.1/32"}) ||
		told[1].Actor.ID != ada.ID {
		t.Errorf("it is told of %+v", told)
	}
}

func TestWhatIsAddedToAListThatThePolicyDoesNotDeclareIsStoredWithAWarning(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.live(t, ada, b.push(t, ada, revised(t, "lists", listing)).Number)
	b.instance(t, nil)
	eventually(t, "the instance is heard of", func() bool { return len(b.status(t).Instances) == 1 })
	add := func(name string, kind operator.OperatorListChangeReqKind, entry string) string {
		t.Helper()
		told, err := b.list(t, name, operator.OperatorListChangeReq{Kind: &kind, Add: &[]string{entry}})
		if err != nil || len(told.Entries) != 1 || !*told.Everywhere {
			t.Fatalf("%+v, %v", told, err)
		}
		if told.Warning == nil {
			return ""
		}
		return *told.Warning
	}
	for name, c := range map[string]struct {
		said, want string
	}{
		"a list that it declares": {add("bad", operator.OperatorListChangeReqKindAddress, "192.0.2.1"), ""},
		"one that it does not":    {add("worse", operator.OperatorListChangeReqKindAddress, "192.0.2.1"), "declares no list worse in"},
		"one of another kind": {
			add("nets", operator.OperatorListChangeReqKindAddress, "192.0.2.1"), "declares the list nets of asn, not of address",
		},
	} {
		if !strings.Contains(c.said, c.want) || (c.want == "") != (c.said == "") {
			t.Errorf("%s: %q", name, c.said)
		}
	}
	removed, err := b.list(t, "worse", operator.OperatorListChangeReq{Remove: &[]string{"192.0.2.1"}})
	if err != nil || removed.Warning != nil {
		t.Errorf("%+v, %v", removed, err)
	}
}

func TestASwitchStopsWhatItIsAboutFromTheNextCallOn(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	var late atomic.Int64
	svc := b.instance(t, func(cfg *decision.Config, deps *decision.Deps) {
		cfg.MaxAge = 0
		deps.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	eventually(t, "the instance is heard of", func() bool { return len(b.status(t).Instances) == 1 })
	const phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
		"Version/18.0 Mobile/15E148 Safari/604.1"
	const computer = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
	ask := func(project ident.ProjectID, agent string) service.Verdict {
		t.Helper()
		said, err := svc.Login(context.Background(), service.LoginQuestion{Question: service.Question{
			Project: project, Client: rest.ClientInformation{UserAgent: agent},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return said.Verdict
	}
	off := func(v service.Verdict) bool {
		is := v.Tag == rest.DecisionTagSwitchedOff
		if is != strings.HasPrefix(v.Rule, "switch:") || is && (v.Allow || v.Incomplete) {
			t.Errorf("%+v", v)
		}
		return is
	}
	phones := &operator.SwitchAbout{OS: of(operator.SwitchAboutOSIos), Action: of(operator.SwitchAboutActionLogin), ProjectID: of("pro-1")}
	on, err := b.turn(t, "no-phones", operator.SwitchReq{On: true, About: phones, Seconds: of(int32(3600)), Reason: of("iOS 18.0")})
	if err != nil || !on.On || on.Everywhere == nil || !*on.Everywhere {
		t.Fatalf("%+v, %v", on, err)
	}
	if v := ask("pro-1", phone); !off(v) || v.Rule != "switch:no-phones" {
		t.Errorf("%+v", v)
	}
	if off(ask("pro-1", computer)) || off(ask("pro-2", phone)) {
		t.Error("it stops what it is not about")
	}
	late.Store(int64(time.Hour))
	if off(ask("pro-1", phone)) {
		t.Error("it has expired")
	}
	late.Store(0)
	if all, err := b.turn(t, "all", operator.SwitchReq{On: true}); err != nil || !*all.Everywhere || !off(ask("pro-2", computer)) {
		t.Errorf("%+v, %v", all, err)
	}
	for _, name := range []string{"all", "no-phones"} {
		if turned, err := b.turn(t, name, operator.SwitchReq{On: false}); err != nil || turned.On || len(*turned.History) != 2 {
			t.Errorf("%+v, %v", turned, err)
		}
	}
	if off(ask("pro-1", phone)) || off(ask("pro-2", computer)) {
		t.Error("they are off")
	}
	if all, err := b.ListSwitches(t.Context(), service.ForOperator[service.Empty]{}); err != nil || len(all.Switches) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestWhatCannotBeSetSaysWhy(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	kind := of(operator.OperatorListChangeReqKindAddress)
	if got, err := b.list(t, "known", operator.OperatorListChangeReq{Kind: kind, Add: &[]string{"2001:db8::/32"}}); err != nil ||
		*got.Everywhere { // there is no instance
		t.Fatalf("%+v, %v", got, err)
	}
	asn, country := of(operator.OperatorListChangeReqKindAsn), of(operator.OperatorListChangeReqKindCountry)
	for name, c := range map[string]struct {
		list  string
		give  operator.OperatorListChangeReq
		field string
	}{
		"no network":      {"known", operator.OperatorListChangeReq{Add: &[]string{"192.0.2.0/24", "192.0.2.1/24"}}, "add[1]"},
		"another kind":    {"known", operator.OperatorListChangeReq{Kind: asn, Add: &[]string{"AS1"}}, "kind"},
		"no such country": {"new", operator.OperatorListChangeReq{Kind: country, Add: &[]string{"de"}}, "add[0]"},
		"no such number":  {"new", operator.OperatorListChangeReq{Kind: asn, Remove: &[]string{"0"}}, "remove[0]"},
		"a new list":      {"new", operator.OperatorListChangeReq{Add: &[]string{"192.0.2.1"}}, ""},
	} {
		_, err := b.list(t, c.list, c.give)
		f := fault.As(err)
		if c.field == "" && f.Status != http.StatusNotFound || c.field != "" && (len(f.Validation) != 1 || f.Validation[0].Field != c.field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.turn(t, "none", operator.SwitchReq{}); fault.As(err).Status != http.StatusNotFound {
		t.Error(err)
	}
	if _, err := b.turn(t, "known", operator.SwitchReq{Seconds: of(int32(1))}); len(fault.As(err).Validation) != 1 {
		t.Error(err)
	}
	if _, err := b.GetList(t.Context(), service.ForOperator[string]{Body: "new"}); fault.As(err).Status != http.StatusNotFound {
		t.Error(err)
	}
}

// What is of a version that this one does not know stays as it was known.
func TestAListOfALaterVersionIsNotTaken(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.live(t, ada, b.push(t, ada, revised(t, "lists", listing)).Number)
	kind := of(operator.OperatorListChangeReqKindAddress)
	if _, err := b.list(t, "bad", operator.OperatorListChangeReq{Kind: kind, Add: &[]string{"198.51.100.7"}}); err != nil {
		t.Fatal(err)
	}
	svc := b.instance(t, nil)
	eventually(t, "the instance is heard of", func() bool { return len(b.status(t).Instances) == 1 })
	bucket, err := b.js.KeyValue(t.Context(), bus.ReleasesBucket)
	if err != nil {
		t.Fatal(err)
	}
	_, err = bucket.Put(t.Context(), "list.bad", []byte(`{"schema": 2, "name": "bad", "kind": "address", "entries": []}`))
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.list(t, "nets", operator.OperatorListChangeReq{Kind: of(operator.OperatorListChangeReqKindAsn), Add: &[]string{"64500"}})
	if err != nil || !*other.Everywhere { // so that it has seen what was written before, too
		t.Fatalf("%+v, %v", other, err)
	}
	if !barred(t, svc, "198.51.100.7") {
		t.Error("it was taken")
	}
}

func TestUsersAreListedByTheirIdentifiersAndLabels(t *testing.T) {
	t.Parallel()
	b := open(t, workbench.Config{})
	b.live(t, ada, b.push(t, ada, revised(t, "people", func(files fstest.MapFS) {
		data := bytes.Replace(files["data.json"].Data, []byte(`"lists": {}`), []byte(
			`"lists": {"people": {"kind": "identifier", "entries": []}, "leavers": {"kind": "label", "entries": ["notice-given"]}}`), 1)
		data = bytes.Replace(data, []byte(`"blockedLists": []`), []byte(`"blockedLists": ["people", "leavers"]`), 1)
		files["data.json"] = &fstest.MapFile{Data: data}
	})).Number)
	svc := b.instance(t, nil)
	eventually(t, "the instance is heard of", func() bool { return len(b.status(t).Instances) == 1 })
	is := func(want bool, mail string, labels ...string) {
		t.Helper()
		q := login("usr-1")
		q.Account.Identifiers = []account.Identifier{{Type: account.IdentifierTypeEmail, Value: mail}}
		q.Account.Labels = labels
		said := must[service.LoginVerdict](t)(svc.Login(t.Context(), q))
		if got := slices.ContainsFunc(said.Risk.Reasons, func(r service.RiskReason) bool { return r.Code == "blocked-address" }); got != want {
			t.Errorf("%s with %v is barred: %v", mail, labels, got)
		}
	}
	is(false, "eve@partner.example", "admin")
	is(true, "eve@partner.example", "notice-given")
	kind := of(operator.OperatorListChangeReqKindIdentifier)
	if _, err := b.list(t, "people", operator.OperatorListChangeReq{Kind: kind, Add: &[]string{"@Partner.Example"}}); err != nil {
		t.Fatal(err)
	}
	is(true, "eve@partner.example")
	is(false, "eve@example.com")
	if _, err := b.list(t, "people", operator.OperatorListChangeReq{Kind: kind, Add: &[]string{"eve at home"}}); err == nil ||
		fault.As(err).Validation[0].Field != "add[0]" {
		t.Errorf("what is no identifier: %v", err)
	}
}
