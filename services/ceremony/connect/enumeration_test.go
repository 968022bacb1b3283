package connect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// tally counts what is done to the stores.
type tally struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[string]int{}
	}
	c.count[what]++
}

// take returns what was counted since the last time.
func (c *tally) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := maps.Clone(c.count)
	c.count = nil
	return taken
}

// counted is a bucket whose calls are counted.
type counted struct {
	jetstream.KeyValue
	*tally
}

func (c counted) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	c.add("get " + c.Bucket())
	return c.KeyValue.Get(ctx, key)
}

func (c counted) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	c.add("put " + c.Bucket())
	return c.KeyValue.Put(ctx, key, value)
}

func (c counted) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	c.add("create " + c.Bucket())
	return c.KeyValue.Create(ctx, key, value, opts...)
}

func (c counted) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	c.add("update " + c.Bucket())
	return c.KeyValue.Update(ctx, key, value, revision)
}

func (c counted) Purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	c.add("purge " + c.Bucket())
	return c.KeyValue.Purge(ctx, key, opts...)
}

func (c counted) Watch(ctx context.Context, keys string, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	c.add("watch " + c.Bucket())
	return c.KeyValue.Watch(ctx, keys, opts...)
}

func countedBuckets(tb testing.TB, t *tally) ceremonytest.Buckets {
	b := ceremonytest.OpenBuckets(tb)
	for _, one := range []*jetstream.KeyValue{
		&b.Accounts, &b.Challenges, &b.Marks, &b.Index, &b.Names, &b.Sessions, &b.SessionIDs, &b.Tokens, &b.Codes, &b.Spent, &b.Processes,
		&b.Keys,
	} {
		*one = counted{*one, t}
	}
	return b
}

// strangers are whom a login is not offered to, in every way that must look the same from outside.
func strangers(p *page) map[string]func(testing.TB, string) {
	return map[string]func(testing.TB, string){
		"a user who does not exist":            func(testing.TB, string) {},
		"a user without passkeys":              func(tb testing.TB, name string) { userWith(tb, p.Stack, "email", name, "primary") },
		"a user whose login the policy denies": func(tb testing.TB, name string) { p.enrolled(tb, name) },
		"a user who has not verified the name": func(tb testing.TB, name string) { userWith(tb, p.Stack, "email", name, "pending") },
		"a user who is known by a user name":   func(tb testing.TB, name string) { userWith(tb, p.Stack, "username", name, "primary") },
		"a user who has been deleted": func(tb testing.TB, name string) {
			deleteUser(tb, p.Stack, userWith(tb, p.Stack, "email", name, "primary"))
		},
		"a user whose account has been disabled": func(tb testing.TB, name string) {
			disable(tb, p.Stack, userWith(tb, p.Stack, "email", name, "primary"))
		},
	}
}

// outside is what somebody outside learns of a user by asking for a login, and then by calling whatever else there is to call.
type outside struct {
	Said string
	Done map[string]int
}

func learned(t *testing.T, p *page, done *tally, name string) []outside {
	t.Helper()
	p.token = ""
	p.device = authenticator.Phone()
	p.loginInit(t)
	done.take()
	var all []outside
	calls := []func() (any, error){
		func() (any, error) {
			rsp, err := p.ConnectLoginStart(t.Context(), in(p, loginOf(name)))
			if rsp.Decision == "" || rsp.PolicyRevision == "" {
				t.Error("the decision is not told")
			}
			return rsp.Body, err
		},
		func() (any, error) { return p.loginFinishWith(t, `{"id":"AA"}`, false) },
		func() (any, error) { return p.loginFinishWith(t, `{"id":"AA"}`, true) },
		func() (any, error) {
			return p.ConnectEventCreate(t.Context(), in(p, frontend.ConnectEventCreateReq{EventType: rest.PasskeyEventTypeLoginError}))
		},
		func() (any, error) {
			return p.ConnectAppendFinish(t.Context(), in(p, frontend.ConnectAppendFinishReq{AttestationResponse: "{}"}))
		},
		func() (any, error) { return p.ConnectLoginStart(t.Context(), in(p, loginOf(name))) },
		func() (any, error) {
			rsp, err := p.ConnectAppendInit(t.Context(), in(p, p.initReq()))
			rsp.Body.ProcessID = ""
			return rsp, err
		},
	}
	before := len(p.Events.Everything())
	for _, call := range calls {
		rsp, err := call()
		said, _ := json.Marshal(rsp)
		text := string(said)
		if err != nil {
			f := fault.As(err)
			text = fmt.Sprint(f.Status, f.Type, f.Details, f.Validation)
		}
		counts := done.take()
		for _, e := range p.Events.Everything()[before:] {
			counts["event "+string(e.Type)]++
		}
		before = len(p.Events.Everything())
		all = append(all, outside{Said: strings.ReplaceAll(text, name, "NAME"), Done: counts})
	}
	return all
}

func TestNobodyLearnsWhoExistsFromALogin(t *testing.T) {
	t.Parallel()
	done := &tally{}
	p := newPage(ceremonytest.NewOn(t, countedBuckets(t, done)))
	var asked []service.LoginQuestion
	p.Decision.OnLogin = func(q service.LoginQuestion, v *service.LoginVerdict) {
		asked = append(asked, q)
		// A denial may say more than nothing, and that must not get out either.
		v.Allow, v.IsCDACandidate, v.PreferImmediatelyAvailable = false, len(q.Account.Credentials) > 0, len(q.Account.Credentials) > 0
	}
	var want []outside
	i := 0
	for kind, prepare := range strangers(p) {
		t.Run(kind, func(t *testing.T) {
			i++
			name := fmt.Sprintf("user%d@example.com", i)
			prepare(t, name)
			asked = nil
			got := learned(t, p, done, name)
			if want == nil {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if len(asked) != 2 || asked[0].Account == nil || asked[0].Account.ID != asked[1].Account.ID {
				t.Errorf("the decision was asked %d times", len(asked))
			}
		})
	}
	if said := want[0].Said; said != `{"assertionOptions":"","fallbackOperationError":{"identifier":"NAME","initFallback":true},`+
		`"isCDA":false}` {
		t.Error(said)
	}
	wantDone := map[string]int{
		"get processes": 2, "update processes": 1, "get identifier-index": 3, "get accounts": 2, "event login-denied": 1,
	}
	if diff := cmp.Diff(wantDone, want[0].Done); diff != "" {
		t.Error(diff)
	}
}

func TestAProjectMayTellThatAUserIsUnknown(t *testing.T) {
	t.Parallel()
	cases := map[string]*frontend.RequestError{
		"a user who does not exist":            {Code: "user_not_found", Message: "there is no user with this identifier"},
		"a user who has not verified the name": {Code: "user_not_found", Message: "there is no user with this identifier"},
		"a user without passkeys":              nil,
		"a user whose login the policy denies": nil,
	}
	for kind, want := range cases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			talkative := p.Project
			talkative.Frontend.TellUnknownUsers = true
			p.Projects.Set(talkative)
			p.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
			name := "ada@example.com"
			strangers(p)[kind](t, name)
			p.loginInit(t)
			wantRsp := frontend.ConnectLoginStartRsp{
				FallbackOperationError: frontend.FallbackOperationError{InitFallback: true, Identifier: &name, Error: want},
			}
			if diff := cmp.Diff(wantRsp, p.identified(t, name).Body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALoginThatCouldNotBeLookedUpIsNoWordOnTheUser(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow, v.Incomplete = false, true }
	i := 0
	for kind, prepare := range strangers(p) {
		t.Run(kind, func(t *testing.T) {
			i++
			name := fmt.Sprintf("user%d@example.com", i)
			prepare(t, name)
			p.token, p.device = "", authenticator.Phone()
			p.loginInit(t)
			got := p.identified(t, name).Body.FallbackOperationError
			if !got.InitFallback || got.Error == nil || got.Error.Code != "data_incomplete" {
				t.Errorf("told %+v, error %+v", got, got.Error)
			}
		})
	}
}

func TestTheRolloutIsAskedBeforeAnybodyIsLookedUp(t *testing.T) {
	t.Parallel()
	listed := &frontend.RequestError{Code: "identifier_not_whitelisted", Message: "passkeys are not switched on for this identifier yet"}
	cases := map[string]struct {
		tag  rest.DecisionTag
		want *frontend.RequestError
	}{
		"an identifier that is not listed": {service.TagRolloutIdentifierNotListed, listed},
		"a rule that blocks":               {service.TagRolloutRuleBlocked, nil},
		"a kill switch":                    {service.TagRolloutKillSwitch, nil},
	}
	for kind, c := range cases {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			done := &tally{}
			p := newPage(ceremonytest.NewOn(t, countedBuckets(t, done)))
			p.enrolled(t, "ada@example.com")
			p.loginInit(t)
			var asked service.RolloutQuestion
			p.Decision.OnRollout = func(q service.RolloutQuestion, v *service.Verdict) {
				asked, v.Allow, v.Tag = q, false, c.tag
			}
			name := "ada@example.com"
			done.take()
			want := frontend.ConnectLoginStartRsp{
				FallbackOperationError: frontend.FallbackOperationError{InitFallback: true, Identifier: &name, Error: c.want},
			}
			if diff := cmp.Diff(want, p.identified(t, name).Body); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]int{"get processes": 1}, done.take()); diff != "" {
				t.Error(diff)
			}
			if asked.Identifier != name || asked.Action != service.RolloutLogin || asked.Flags["beta"] != "on" {
				t.Errorf("%+v", asked)
			}
		})
	}
}

// BenchmarkConnectLoginStart shows that a login of whoever it is not offered to takes as long whoever that is. It is read, not tested:
// how long a call takes depends on what else the machine does.
func BenchmarkConnectLoginStart(b *testing.B) {
	p := newPage(ceremonytest.New(b))
	p.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	for kind, prepare := range strangers(p) {
		name := strings.ReplaceAll(kind, " ", ".") + "@example.com"
		prepare(b, name)
		b.Run(kind, func(b *testing.B) {
			p.token = ""
			p.loginInit(b)
			for b.Loop() {
				p.identified(b, name)
			}
		})
	}
}
