package passkeys_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

func TestALoginStartIsOneWrite(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	records, marks := &faulty.Bucket{KeyValue: b.Challenges}, &faulty.Bucket{KeyValue: b.Marks}
	b.Challenges, b.Marks = records, marks
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	records.FailPuts(1)
	marks.FailCreates(1)
	before := st.Events.Calls
	st.BeginLogin(t, user, d)
	if n := st.Events.Calls - before; n != 1 {
		t.Errorf("%d messages were published", n)
	}
}

func TestAsManyLoginsAreUnderWayAsOffersAreKept(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	first := st.BeginLogin(t, user, d).AssertionOptions
	second := st.BeginLogin(t, user, d).AssertionOptions
	for range bus.OffersPerSubject - 1 {
		st.BeginLogin(t, user, d)
	}
	_, err := st.FinishLogin(t, user, d, d.Get(t, first))
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge is unknown, or was not given to this user")
	if _, err := st.FinishLogin(t, user, d, d.Get(t, second)); err != nil {
		t.Errorf("the oldest of those that are kept: %v", err)
	}
}

func TestAChallengeWhoseMarkCannotBeMadeIsNotFinished(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	marks := &faulty.Bucket{KeyValue: b.Marks}
	b.Marks = marks
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
	marks.FailCreates(1)
	if _, err := st.FinishLogin(t, user, d, answer); fault.As(err).Status != 503 {
		t.Fatalf("got %v", err)
	}
	if n := len(st.Events.OfType(event.LoginCompleted)); n != 0 {
		t.Errorf("%d completed logins were recorded", n)
	}
	if _, err := st.FinishLogin(t, user, d, answer); err != nil {
		t.Errorf("the challenge was lost: %v", err)
	}
}

// Logins that an earlier version of the server has started keep their challenge, and its status, in the bucket "challenges".
func TestALoginStartedByAnEarlierVersionIsFinishedOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "consumed", "completed"} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		st.Enroll(t, user, d)
		answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
		offers, err := st.Events.Pending(t.Context(), st.Project.ID, user, "")
		if err != nil || len(offers) != 1 {
			t.Fatalf("offers %+v: %v", offers, err)
		}
		r := challenge.Record{
			ID:      offers[0].Ceremony,
			Value:   offers[0].Challenge,
			Type:    "authenticate",
			Project: st.Project.ID,
			User:    user,
			Process: ceremonytest.Process,
			Created: offers[0].CreatedMs,
		}
		if err := json.Unmarshal(offers[0].Pending, &r); err != nil {
			t.Fatal(err)
		}
		r.Status = status
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Events.Erase(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Buckets.Challenges.Put(t.Context(), string(st.Project.ID)+"."+string(user)+"."+r.Value, raw); err != nil {
			t.Fatal(err)
		}

		if got := st.Challenges(t, user, "type:eq:authenticate"); len(got) != 1 || got[0].Status != status {
			t.Errorf("listed: %+v", got)
		}
		_, err = st.FinishLogin(t, user, d, answer)
		if status == rest.PasskeyChallengeStatusPending {
			if err != nil {
				t.Error(err)
			}
			_, err = st.FinishLogin(t, user, d, answer)
		}
		ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge has been used already")
	}
}

func TestChallengesAreListedAndMoveForward(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	st.Clock.Advance(time.Second)
	st.BeginLogin(t, user, d)
	st.Clock.Advance(10 * time.Minute)

	all := st.Challenges(t, user)
	if len(all) != 2 || all[0].Type != rest.PasskeyChallengeTypeAuthenticate || all[0].Status != rest.PasskeyChallengeStatusPending {
		t.Fatalf("challenges: %+v", all)
	}
	want := rest.PasskeyChallenge{
		ChallengeID: all[0].ChallengeID,
		Value:       all[0].Value,
		Type:        rest.PasskeyChallengeTypeAuthenticate,
		Status:      rest.PasskeyChallengeStatusPending,
		Created:     ceremonytest.Started.Unix() + 1,
		CreatedMs:   ceremonytest.Started.UnixMilli() + 1000,
		Expires:     ceremonytest.Started.Unix() + 301,
	}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Error(diff)
	}
	for filter, n := range map[string]int{
		"type:eq:register": 1, "status:eq:completed": 1, "status:eq:consumed": 0, "userID:eq:" + string(user): 2,
		"projectID:eq:" + string(st.Project.ID): 2, "projectID:eq:pro-404": 0,
		"created:gt:2026-11-22T12:00:00": 1,
	} {
		if got := len(st.Challenges(t, user, filter)); got != n {
			t.Errorf("%s: %d challenges, want %d", filter, got, n)
		}
	}

	patch := func(user ident.UserID, id string, status rest.PasskeyChallengeStatus) (rest.PasskeyChallenge, error) {
		return st.UpdateChallenge(t.Context(), service.ForUser[service.ChallengePatch]{
			Project: st.Project.ID, User: user, Body: service.ChallengePatch{ID: ident.ChallengeID(id), Status: status},
		})
	}
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "completed", "completed", "consumed"} {
		want.Status = status
		got, err := patch(user, want.ChallengeID, status)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	_, err := patch(user, want.ChallengeID, "pending")
	ceremonytest.WantField(t, err, 400, "status", "cannot go back from consumed to pending")
	_, err = patch(user, want.ChallengeID, "completed")
	ceremonytest.WantField(t, err, 400, "status", "cannot go back from consumed to completed")
	_, err = patch(user, want.ChallengeID, "expired")
	ceremonytest.WantField(t, err, 400, "status", "must be a valid value")
	_, err = patch(user, "was-404", "consumed")
	ceremonytest.WantField(t, err, 400, "passkeyChallengeID", "does not exist")
	_, err = patch(st.NewUser(t), want.ChallengeID, "consumed")
	ceremonytest.WantField(t, err, 400, "passkeyChallengeID", "does not exist")
	_, err = patch("usr-1", want.ChallengeID, "consumed")
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")

	st.Clock.Advance(5*time.Minute - time.Second)
	if left := st.Challenges(t, user); len(left) != 1 {
		t.Errorf("older than challenge_max_age: %+v", left)
	}
	st.Clock.Advance(time.Second)
	if left := st.Challenges(t, user); len(left) != 0 {
		t.Errorf("older than challenge_max_age: %+v", left)
	}
	_, err = patch(user, want.ChallengeID, "consumed")
	ceremonytest.WantField(t, err, 400, "passkeyChallengeID", "does not exist")
}
