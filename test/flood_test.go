package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/services/events"
)

// Whoever knows a user's name can have as many answers refused as the limits let through. A window has room for so many; the others are
// counted, the user's history stays as short as that, and the user signs in meanwhile.
func TestWrongAnswersWithoutEndLeaveOneUsersHistoryShortAndTheUserLogsIn(t *testing.T) {
	t.Parallel()
	answers, callers := 10_000, 16
	if testing.Short() || detecting {
		answers, callers = 160, 4
	}
	for _, s := range []shape{everyShape()[1], everyShape()[5]} {
		answers := answers
		if s.split {
			answers = max(answers/5, 100)
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t, func(cfg *settings.Config) {
				much := ratelimit.Limit{Requests: 1_000_000, Per: time.Second}
				cfg.HTTP.RateAddress, cfg.HTTP.RateProject = much, much
			})
			ada := st.newPerson(t)
			ada.createPasskey(t)
			before := st.redis.HLen(t.Context(), "{"+project1+"/"+ada.id+"}:events").Val()
			var group errgroup.Group
			var next, unanswered atomic.Int64
			for range callers {
				stranger := *ada
				stranger.device = likeness(ada.device)
				group.Go(func() error {
					for n := next.Add(1); n <= int64(answers); n = next.Add(1) {
						status, err := answerWrongly(&stranger, n)
						switch {
						case err != nil:
							return err
						case status == http.StatusServiceUnavailable:
							unanswered.Add(1) // it may have been counted, or not
						case status != http.StatusBadRequest:
							return fmt.Errorf("answer %d: %d", n, status)
						}
					}
					return nil
				})
			}
			const logins = 5
			for range logins {
				process := ada.nextProcess()
				as[rest.PasskeyLoginFinishRsp](t, ada.loginFinish(t, process, ada.loginStart(t, process).AssertionOptions))
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			most := float64(events.DefaultUnproven().Requests)
			// Of several instances that count at one moment each may record one more.
			room := most + float64(len(st.apps)-1)
			list := as[rest.PasskeyEventList](
				t, ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents?include=engine&filter[]=eventType:eq:login-refused", nil),
			)
			recorded := float64(list.Paging.TotalItems)
			if recorded < most || recorded > room {
				t.Errorf("%v refused logins are recorded of %d", recorded, answers)
			}
			withheld, least := st.sum(t, `keyward_events_withheld_total{kind="refused"}`), float64(int64(answers)-unanswered.Load())
			if withheld+recorded < least || withheld+recorded > float64(answers) {
				t.Errorf("%v are recorded and %v withheld of %d, of which %d had no answer", recorded, withheld, answers, unanswered.Load())
			}
			told := as[rest.PasskeyEventList](
				t, ada.call(t, "GET", "/v2/users/"+ada.id+"/passkeyEvents?include=engine&filter[]=eventType:eq:login-events-limited", nil),
			)
			if times := int(told.Paging.TotalItems); times < 1 || times > len(st.apps) {
				t.Errorf("subscribers are told %d times", times)
			}
			if kept := st.redis.HLen(t.Context(), "{"+project1+"/"+ada.id+"}:events").Val(); float64(kept) > float64(before)+room+logins+1 {
				t.Errorf("the history has grown from %d to %d fields", before, kept)
			}
		})
	}
}

// likeness is a device that names the same passkey: it signs for itself, since a device does one thing at a time.
func likeness(of *authenticator.Device) *authenticator.Device {
	device := *of
	device.Passkeys = slices.Clone(of.Passkeys)
	key := *of.Passkeys[0].Credential.Key
	device.Passkeys[0].Credential.Key = &key
	return &device
}

// answerWrongly has a login of the person's refused, and returns the status: one in four answers a challenge that was given out, unless the
// machine is too busy to give one, the others none.
func answerWrongly(p *person, n int64) (int, error) {
	process, options := fmt.Sprintf("flood-%s-%d", p.id, n), `{"publicKey":{"challenge":"`+strings.Repeat("A", 43)+`","rpId":"localhost"}}`
	if n%4 == 0 {
		started, err := p.do("POST", "/v2/passkey/login/start", p.loginStartBody(process))
		if err != nil {
			return 0, err
		}
		var rsp rest.PasskeyLoginStartRsp
		if err := json.Unmarshal(started.body, &rsp); err != nil {
			return 0, fmt.Errorf("answer %d: %d %s: %w", n, started.status, started.body, err)
		}
		if rsp.LoginAllow {
			options = rsp.AssertionOptions
		}
	}
	response, err := p.device.Get(options, origin)
	if err != nil {
		return 0, err
	}
	var credential map[string]any
	if err := json.Unmarshal([]byte(response), &credential); err != nil {
		return 0, err
	}
	credential["response"].(map[string]any)["signature"] = "AAAA"
	raw, err := json.Marshal(credential)
	if err != nil {
		return 0, err
	}
	got, err := p.do("POST", "/v2/passkey/login/finish", map[string]any{
		"userID": p.id, "processID": process, "assertionResponse": string(raw), "clientInformation": mac(p.handle),
	})
	return got.status, err
}

// sum returns what a metric has come to in all processes.
func (s *stack) sum(t *testing.T, series string) float64 {
	t.Helper()
	total := 0.0
	for _, a := range s.apps {
		rsp, err := http.Get("http://" + a.AdminAddr() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(rsp.Body)
		_ = rsp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			if value, is := strings.CutPrefix(line, series+" "); is {
				n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					t.Fatal(err)
				}
				total += n
			}
		}
	}
	return total
}
