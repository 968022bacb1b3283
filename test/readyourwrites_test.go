package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

func challengeOf(t *testing.T, options string) string {
	t.Helper()
	var parsed struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &parsed); err != nil || parsed.PublicKey.Challenge == "" {
		t.Fatalf("options without a challenge: %s", options)
	}
	if _, err := base64.RawURLEncoding.DecodeString(parsed.PublicKey.Challenge); err != nil {
		t.Fatalf("challenge is not base64url without padding: %v", err)
	}
	return parsed.PublicKey.Challenge
}

// barAndLift posts a blacklist event and deletes it again; each must show in the very next decision.
func barAndLift(t *testing.T, p *person, when string) {
	t.Helper()
	event := p.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
	if got := p.loginStart(t, p.nextProcess()); got.LoginAllow || got.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
		t.Errorf("%s: the event was not seen: %s", when, got.DecisionTag)
	}
	as[rest.GenericRsp](t, p.call(t, "DELETE", "/v2/users/"+p.id+"/passkeyEvents/"+event.PasskeyEventID, nil))
	if got := p.loginStart(t, p.nextProcess()); !got.LoginAllow {
		t.Errorf("%s: the deletion was not seen: %s", when, got.DecisionTag)
	}
}

func TestADecisionSeesEveryAcknowledgedEventWhateverRedisDoes(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{
		{name: "one process", redis: true},
		{
			name:  "split with two of each",
			split: true,
			redis: true,
			parts: []string{"events,decision,ceremony", "events,decision,ceremony", "gateway"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := st.newPerson(t)
			ada.createPasskey(t)
			barAndLift(t, ada, "with Redis")

			event := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
			if err := st.redis.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			if got := ada.loginStart(t, ada.nextProcess()); got.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
				t.Errorf("after FLUSHALL the event is forgotten: %s", got.DecisionTag)
			}
			as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+event.PasskeyEventID, nil))
			barAndLift(t, ada, "after FLUSHALL")

			process := ada.nextProcess()
			underWay := ada.loginStart(t, process)
			st.redis.stop()
			as[rest.PasskeyLoginFinishRsp](t, ada.loginFinish(t, process, underWay.AssertionOptions))
			barAndLift(t, ada, "with Redis gone")
			st.newPerson(t).createPasskey(t)

			kept := ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
			st.redis.start(t)
			if got := ada.loginStart(t, ada.nextProcess()); got.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
				t.Errorf("after Redis came back the event is forgotten: %s", got.DecisionTag)
			}
			as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/passkeyEvents/"+kept.PasskeyEventID, nil))
			barAndLift(t, ada, "after Redis came back")
		})
	}
}

func TestConcurrentWritersEachReadTheirWritesWhileTheCacheIsFlushed(t *testing.T) {
	t.Parallel()
	st := shape{name: "", redis: true}.start(t)
	ada := st.newPerson(t)
	ada.createPasskey(t)
	const writers, rounds = 8, 12
	var flushing, writing sync.WaitGroup
	done := make(chan struct{})
	flushing.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := st.redis.FlushAll(t.Context()).Err(); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	for w := range writers {
		writing.Go(func() {
			for round := range rounds {
				if err := ada.writeThenRead(fmt.Sprintf("writer-%d-%d", w, round)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	flushing.Wait()
	page := as[rest.PasskeyEventList](t, ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents", nil))
	if want := int32(writers * rounds); page.Paging.TotalItems != want {
		t.Errorf("events kept: got %d, want %d", page.Paging.TotalItems, want)
	}
}

// writeThenRead posts a decline of a creation offer and looks at once for the count it makes: at least one more than was there.
func (p *person) writeThenRead(process string) error {
	before, err := p.declines(process)
	if err != nil {
		return err
	}
	a, err := p.do("POST", "/v2/users/"+p.id+"/passkeyEvents", map[string]any{"eventType": "append-explicit-abort", "processID": process})
	if err != nil || a.status != http.StatusOK {
		return fmt.Errorf("post: status %d: %s: %w", a.status, a.body, err)
	}
	after, err := p.declines(process)
	if err != nil {
		return err
	}
	if after <= before {
		return fmt.Errorf("%s: declines went from %d to %d although one was added", process, before, after)
	}
	return nil
}

func (p *person) declines(process string) (int32, error) {
	a, err := p.do("POST", "/v2/passkey/login/start", p.loginStartBody(process))
	if err != nil || a.status != http.StatusOK {
		return 0, fmt.Errorf("login start: status %d: %s: %w", a.status, a.body, err)
	}
	var rsp rest.PasskeyLoginStartRsp
	if err := json.Unmarshal(a.body, &rsp); err != nil {
		return 0, err
	}
	return rsp.DetectionInsights.HistoryData.DefaultCount, nil
}

func TestOfAThousandConcurrentFinishesOfOneChallengeExactlyOneSucceeds(t *testing.T) {
	t.Parallel()
	calls := 1000
	if detecting {
		calls = 200 // whoever wants to see a race needs no more, and the run without the detector has them all
	}
	for _, s := range []shape{
		{name: "one process with Redis", redis: true},
		{
			name:  "split with two of each",
			split: true,
			redis: true,
			parts: []string{"events,decision,ceremony", "events,decision,ceremony", "gateway"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := st.newPerson(t)
			ada.createPasskey(t)
			process := ada.nextProcess()
			start := ada.loginStart(t, process)
			body, err := json.Marshal(ada.loginFinishBody(t, process, start.AssertionOptions))
			if err != nil {
				t.Fatal(err)
			}
			var succeeded, refused, shed atomic.Int32
			var all sync.WaitGroup
			slots := make(chan struct{}, 200)
			for range calls {
				all.Go(func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					a, err := ada.do("POST", "/v2/passkey/login/finish", body)
					switch {
					case err != nil:
						t.Error(err)
					case a.status == http.StatusOK:
						succeeded.Add(1)
					case a.status == http.StatusBadRequest:
						refused.Add(1)
					case a.status == http.StatusServiceUnavailable:
						shed.Add(1)
					default:
						t.Errorf("status %d: %s", a.status, a.body)
					}
				})
			}
			all.Wait()
			if succeeded.Load() != 1 || int(refused.Load()+shed.Load()) != calls-1 {
				t.Errorf("%d succeeded, %d were refused, %d were shed", succeeded.Load(), refused.Load(), shed.Load())
			}
			completed := as[rest.PasskeyEventList](
				t,
				ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents?include=engine&pageSize=100&filter[]=eventType:eq:login-completed", nil),
			)
			if completed.Paging.TotalItems != 1 {
				t.Errorf("login-completed events: %d", completed.Paging.TotalItems)
			}
		})
	}
}

// TestTheNextLoginStartSeesEveryChangeOfThePasskeysWhicheverInstanceAnswers changes an account through one instance and asks the other at
// once, again and again.
func TestTheNextLoginStartSeesEveryChangeOfThePasskeysWhicheverInstanceAnswers(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{
		{name: "one process with the embedded cache"},
		{name: "one process with Redis", redis: true},
		{name: "split without Redis", split: true, parts: []string{"all", "all"}},
		{name: "split with two whole instances", split: true, redis: true, parts: []string{"all", "all"}},
		{
			name:  "split with the decision elsewhere",
			split: true,
			redis: true,
			parts: []string{"decision", "events,ceremony,gateway", "events,ceremony,gateway"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := st.newPerson(t)
			gateways := st.gateways()
			rounds := 25
			if s.split && !s.redis || testing.Short() || detecting {
				rounds = 5 // without Redis each change takes a tenth of a second
			}
			var kept []string
			expect := func(what string) {
				t.Helper()
				for k, other := range gateways {
					rsp := as[rest.PasskeyLoginStartRsp](t, other.call(t, "POST", "/v2/passkey/login/start", ada.loginStartBody(ada.nextProcess())))
					if int(rsp.CredentialCount) != len(kept) {
						t.Fatalf("%s: instance %d counts %d passkeys of %d", what, k, rsp.CredentialCount, len(kept))
					}
				}
			}
			for round := range rounds {
				ada.base = gateways[round%len(gateways)].base
				ada.device, ada.handle = authenticator.Phone(), ""
				kept = append(kept, ada.createPasskey(t).ID)
				expect(fmt.Sprintf("round %d, created", round))
				if round%2 == 0 {
					expect(fmt.Sprintf("round %d, again", round))
				}
				if st.redis != nil && round%5 == 3 {
					if err := st.redis.FlushAll(t.Context()).Err(); err != nil {
						t.Fatal(err)
					}
				}
				ada.base = gateways[(round+1)%len(gateways)].base
				as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id+"/credentials/"+kept[0], nil))
				kept = kept[1:]
				expect(fmt.Sprintf("round %d, deleted", round))
			}
			as[rest.GenericRsp](t, ada.call(t, "DELETE", "/v2/users/"+ada.id, nil))
			for _, other := range gateways {
				other.call(t, "POST", "/v2/passkey/login/start", ada.loginStartBody(ada.nextProcess())).fault(t, http.StatusBadRequest)
			}
		})
	}
}
