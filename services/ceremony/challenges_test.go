package ceremony_test

import (
	"encoding/json"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

func TestALoginStartIsOneWrite(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	records, marks := &faulty{KeyValue: b.challenges}, &faulty{KeyValue: b.marks}
	b.challenges, b.marks = records, marks
	st := newStackOn(t, b)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	records.failPuts(1)
	marks.failCreates(1)
	before := st.events.calls
	st.loginStart(t, user, d)
	if n := st.events.calls - before; n != 1 {
		t.Errorf("%d messages were published", n)
	}
}

func TestAsManyLoginsAreUnderWayAsOffersAreKept(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	first := st.loginStart(t, user, d).AssertionOptions
	second := st.loginStart(t, user, d).AssertionOptions
	for range bus.OffersPerSubject - 1 {
		st.loginStart(t, user, d)
	}
	_, err := st.loginFinish(t, user, d, d.get(t, first))
	wantField(t, err, 400, "assertionResponse", "the challenge is unknown, or was not given to this user")
	if _, err := st.loginFinish(t, user, d, d.get(t, second)); err != nil {
		t.Errorf("the oldest of those that are kept: %v", err)
	}
}

func TestAChallengeWhoseMarkCannotBeMadeIsNotFinished(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	marks := &faulty{KeyValue: b.marks}
	b.marks = marks
	st := newStackOn(t, b)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	answer := d.get(t, st.loginStart(t, user, d).AssertionOptions)
	marks.failCreates(1)
	if _, err := st.loginFinish(t, user, d, answer); fault.As(err).Status != 503 {
		t.Fatalf("got %v", err)
	}
	if n := len(st.events.ofType(event.LoginCompleted)); n != 0 {
		t.Errorf("%d completed logins were recorded", n)
	}
	if _, err := st.loginFinish(t, user, d, answer); err != nil {
		t.Errorf("the challenge was lost: %v", err)
	}
}

// Logins that an earlier version of the server has started keep their challenge, and its status, in the bucket "challenges".
func TestALoginStartedByAnEarlierVersionIsFinishedOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "consumed", "completed"} {
		st := newStack(t)
		user, d := st.user(t), phone()
		st.enroll(t, user, d)
		answer := d.get(t, st.loginStart(t, user, d).AssertionOptions)
		offers, err := st.events.Pending(t.Context(), st.project.ID, user, "")
		if err != nil || len(offers) != 1 {
			t.Fatalf("offers %+v: %v", offers, err)
		}
		r := challenge.Record{
			ID: offers[0].Ceremony, Value: offers[0].Challenge, Type: "authenticate", Project: st.project.ID, User: user, Process: process, Created: offers[0].CreatedMs,
		}
		if err := json.Unmarshal(offers[0].Pending, &r); err != nil {
			t.Fatal(err)
		}
		r.Status = status
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.events.Erase(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
			t.Fatal(err)
		}
		if _, err := st.buckets.challenges.Put(t.Context(), string(st.project.ID)+"."+string(user)+"."+r.Value, raw); err != nil {
			t.Fatal(err)
		}

		if got := st.challenges(t, user, "type:eq:authenticate"); len(got) != 1 || got[0].Status != status {
			t.Errorf("listed: %+v", got)
		}
		_, err = st.loginFinish(t, user, d, answer)
		if status == rest.PasskeyChallengeStatusPending {
			if err != nil {
				t.Error(err)
			}
			_, err = st.loginFinish(t, user, d, answer)
		}
		wantField(t, err, 400, "assertionResponse", "the challenge has been used already")
	}
}
