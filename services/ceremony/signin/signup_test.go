package signin_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestOneOfTwoGetsAnIdentifier(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	var blocks [4]frontend.BlockType
	var done sync.WaitGroup
	for i := range blocks {
		b := begin(t, st)
		done.Go(func() {
			rsp, err := st.SignupInit(context.Background(), service.ForVisit[frontend.SignupInitReq]{
				Visit: visitOf(st, b.token), Body: frontend.SignupInitReq{
					Identifiers: []frontend.LoginIdentifier{emailOf(ceremonytest.Email)},
				},
			})
			if err != nil {
				t.Error(err)
			}
			blocks[i] = rsp.Body.BlockBody.Block
		})
	}
	done.Wait()
	joined := 0
	for _, block := range blocks {
		if block == frontend.BlockTypePasskeyAppend {
			joined++
		} else if block != frontend.BlockTypeSignupInit {
			t.Errorf("at %s", block)
		}
	}
	if joined != 1 || len(st.Everyone(t)) != 1 {
		t.Errorf("%d have it, of %d users", joined, len(st.Everyone(t)))
	}
}

func TestASignUpThatIsInterruptedIsInNobodysWay(t *testing.T) {
	t.Parallel()
	signUp := func(ctx context.Context, st *ceremonytest.Stack, svc service.SignIn, token string) error {
		_, err := svc.SignupInit(ctx, service.ForVisit[frontend.SignupInitReq]{Visit: visitOf(st, token), Body: frontend.SignupInitReq{
			Identifiers: []frontend.LoginIdentifier{emailOf(ceremonytest.Email), usernameOf("ada")},
		}})
		return err
	}
	t.Run("if it goes on", func(t *testing.T) {
		t.Parallel()
		ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
			st := ceremonytest.New(t)
			st.Decision.OnAppend = noAppend
			b := begin(t, st)
			_ = signUp(t.Context(), st, st.Mortal(t, c), b.token)
			// The client asks how it stands, and begins with the form again if it is still there.
			get := func(ctx context.Context, r service.ForVisit[*frontend.BlockType]) (service.Answered[frontend.ProcessResponse], error) {
				return st.ProcessGet(ctx, r)
			}
			err := try(t, b, get, nil)
			if err == nil && b.body.Block == frontend.BlockTypeLoginInit {
				b.signUp(t, frontend.BlockTypeCompleted, emailOf(ceremonytest.Email), usernameOf("ada"))
			} else if err != nil {
				wantGone(t, err) // it was complete before
			}
			all := st.Everyone(t)
			if len(all) != 1 || len(all[0].Identifiers) != 2 || all[0].SignUpUntilMs != 0 {
				t.Fatalf("users: %+v", all)
			}
			if sessionsOf(t, st, all[0].ID) != 1 {
				t.Errorf("%d sessions", sessionsOf(t, st, all[0].ID))
			}
			st.WantTold(t, all[0].ID, event.UserCreated)
		})
	})
	t.Run("if somebody else wants the identifiers later", func(t *testing.T) {
		t.Parallel()
		ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
			st := ceremonytest.New(t)
			b := begin(t, st)
			_ = signUp(t.Context(), st, st.Mortal(t, c), b.token) // and never comes back
			st = st.Restart(t)
			st.Clock.Advance(15 * time.Minute)
			other := begin(t, st)
			other.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email), usernameOf("ada"))
			if n := len(st.Everyone(t)); n != 1 {
				t.Errorf("%d users", n)
			}
			err := try(t, b, b.ProcessComplete, service.Empty{})
			if fault.As(err).Status < 400 {
				t.Error("the one who gave up has the identifiers too")
			}
		})
	})
}

func TestASignUpThatWasGivenUpGivesWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		then  func(*testing.T, *browser)
		want  frontend.BlockType
	}{
		"not at once":   {14 * time.Minute, func(*testing.T, *browser) {}, frontend.BlockTypeSignupInit},
		"after a while": {15 * time.Minute, func(*testing.T, *browser) {}, frontend.BlockTypePasskeyAppend},
		"not once it has a passkey": {
			time.Hour, func(t *testing.T, b *browser) { b.append(t, authenticator.Phone()) }, frontend.BlockTypeSignupInit,
		},
		"not once it is complete": {
			time.Hour, func(t *testing.T, b *browser) { b.skip(t, frontend.BlockTypeCompleted) }, frontend.BlockTypeSignupInit,
		},
		"at once if it begins anew": {0, func(t *testing.T, b *browser) {
			do(t, b, b.ProcessReset, service.Empty{}, frontend.BlockTypeSignupInit)
		}, frontend.BlockTypePasskeyAppend},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			b := begin(t, st)
			b.signUp(t, frontend.BlockTypePasskeyAppend, usernameOf("ada"))
			c.then(t, b)
			st.Clock.Advance(c.after)
			begin(t, st).signUp(t, c.want, usernameOf("ada"))
		})
	}
}
