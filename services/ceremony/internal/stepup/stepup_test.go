package stepup

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/keyring/keyringtest"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/service"
)

func ring(t testing.TB, root string) *keyring.Ring {
	t.Helper()
	keys, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: []byte(root)}})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func made(t testing.TB, keys *keyring.Ring) StepUp {
	t.Helper()
	u := StepUp{
		Schema: schema, Project: "pro-1", User: "usr-1", ID: "stu-1", Ceremony: "was-1", Passkey: "cre-1",
		Methods: []service.StepUpMethod{service.StepUpCaller}, ExpiresMs: 1000,
	}
	if err := u.Seal(keys, []byte("the answer")); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestWhatIsWithheldOpensForItsStepUpAlone(t *testing.T) {
	t.Parallel()
	keys := ring(t, "0123456789abcdef0123456789abcdef")
	for name, c := range map[string]struct {
		change func(*StepUp)
		keys   *keyring.Ring
		want   error
	}{
		"its own":                      {func(*StepUp) {}, keys, nil},
		"not passed":                   {func(u *StepUp) { u.Passed = nil }, keys, ErrRequired},
		"of another project":           {func(u *StepUp) { u.Project = "pro-2" }, keys, ErrSealed},
		"of another user":              {func(u *StepUp) { u.User = "usr-2" }, keys, ErrSealed},
		"of another step-up":           {func(u *StepUp) { u.ID = "stu-2" }, keys, ErrSealed},
		"of another ceremony":          {func(u *StepUp) { u.Ceremony = "was-2" }, keys, ErrSealed},
		"of another passkey":           {func(u *StepUp) { u.Passkey = "cre-2" }, keys, ErrSealed},
		"cut":                          {func(u *StepUp) { u.Withheld = u.Withheld[:3] }, keys, ErrSealed},
		"a bit changed":                {func(u *StepUp) { u.Withheld[30] ^= 1 }, keys, ErrSealed},
		"by a key that is gone":        {func(u *StepUp) { u.KeyVersion = 7 }, keys, ErrSealed},
		"with another secret":          {func(*StepUp) {}, ring(t, "another6789abcdef0123456789abcdef"), ErrSealed},
		"by a key that nobody can ask": {func(u *StepUp) { u.KeyVersion = 2 }, keyringtest.Cut(t, "pro-1"), kv.ErrUnavailable},
	} {
		u := made(t, keys)
		u.Pass(ProofBy(service.StepUpCaller), time.UnixMilli(1))
		c.change(&u)
		answer, err := u.Open(c.keys)
		if !errors.Is(err, c.want) || (string(answer) == "the answer") != (c.want == nil) {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
}

func TestAStepUpIsOverForWhoeverAsks(t *testing.T) {
	t.Parallel()
	ref := Ref{Project: "pro-1", User: "usr-1", ID: "stu-1"}
	for name, c := range map[string]struct {
		change func(*StepUp)
		ref    Ref
		nowMs  int64
		want   error
	}{
		"its own":                    {func(*StepUp) {}, ref, 999, nil},
		"of anybody of the project":  {func(*StepUp) {}, Ref{Project: "pro-1", ID: "stu-1"}, 999, nil},
		"at the end of its time":     {func(*StepUp) {}, ref, 1000, ErrUnknown},
		"after four failures":        {func(u *StepUp) { u.Failures = 4 }, ref, 1, nil},
		"after five failures":        {func(u *StepUp) { u.Failures = 5 }, ref, 1, ErrUnknown},
		"of another user":            {func(*StepUp) {}, Ref{Project: "pro-1", User: "usr-2", ID: "stu-1"}, 1, ErrUnknown},
		"of another project":         {func(*StepUp) {}, Ref{Project: "pro-2", User: "usr-1", ID: "stu-1"}, 1, ErrUnknown},
		"in a form that comes later": {func(u *StepUp) { u.Schema = schema + 1 }, ref, 1, ErrUnknown},
	} {
		u := made(t, ring(t, "0123456789abcdef0123456789abcdef"))
		c.change(&u)
		if err := c.ref.of(&u, time.UnixMilli(c.nowMs)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheFirstProofCountsAndFailuresAfterItDoNot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var u StepUp
		first, failures := "", 0
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "pass") {
				by := rapid.SampledFrom(service.StepUpMethods()).Draw(t, "by")
				if first == "" {
					first = string(by)
				}
				u.Pass(ProofBy(by), time.UnixMilli(int64(i)))
				continue
			}
			if first == "" {
				failures++
			}
			u.Fail()
		}
		if u.Failures != failures || (u.Passed != nil) != (first != "") || u.Passed != nil && u.Passed.Method != first {
			t.Fatalf("first %q, %d failures, and it is %+v", first, failures, u)
		}
	})
}
