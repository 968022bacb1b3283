package registrations_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// Earlier versions drew challenges of 32 bytes, and spent them by a mark under the challenge itself.
func TestARegistrationThatAnEarlierVersionStartedIsRemovedForItsInstancesToo(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	pending := mustRegister(t, st, user, service.PasskeyRegistration{})
	value, before := authenticator.ChallengeIn(t, string(pending.Options)), strings.Repeat("a", 42)+"A"
	prefix := string(st.Project.ID) + "." + string(user) + "."
	entry, err := st.Buckets.Challenges.Get(t.Context(), prefix+value)
	if err != nil {
		t.Fatal(err)
	}
	stored := []byte(strings.ReplaceAll(string(entry.Value()), value, before))
	if _, err := st.Buckets.Challenges.Put(t.Context(), prefix+before, stored); err != nil {
		t.Fatal(err)
	}
	if err := st.Buckets.Challenges.Purge(t.Context(), prefix+value); err != nil {
		t.Fatal(err)
	}
	if _, err := remove(t, st, user, pending.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Buckets.Marks.Get(t.Context(), prefix+before); err != nil {
		t.Errorf("an instance of the earlier version would finish it: %v", err)
	}
	answer := d.Create(t, strings.Replace(string(pending.Options), value, before, 1))
	_, err = verifyPasskey(t.Context(), st, user, pending.ID, answer)
	wantReason(t, err, 400, service.ReasonCredential)
	if told := st.Events.OfType(event.PasskeyDeleted); len(told) != 1 {
		t.Errorf("told: %+v", told)
	}
}

func TestNoCrashLeavesARemovedRegistrationUntoldOrToBeFinished(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		pending := mustRegister(t, st, user, service.PasskeyRegistration{})
		_, err := st.Mortal(t, c).RemovePasskey(
			t.Context(), service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: pending.ID},
		)
		again := st.Restart(t)
		told, status := len(st.Events.OfType(event.PasskeyDeleted)), st.Challenges(t, user)[0].Status
		if err == nil && told != 1 || (status == rest.PasskeyChallengeStatusConsumed) != (told == 1) {
			t.Errorf("removed with %v: %d removals are told, and the challenge is %s", err, told, status)
		}
		_, err = verifyPasskey(t.Context(), again, user, pending.ID, d.Create(t, string(pending.Options)))
		if over := status != rest.PasskeyChallengeStatusPending; over != (err != nil) {
			t.Errorf("a registration that is %s is finished with %v", status, err)
		}
	})
}
