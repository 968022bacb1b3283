package code_test

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/keyring/keyringtest"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/ceremony/internal/code"
)

var (
	ref   = code.Ref{Project: "pro-1", User: "usr-2", ID: "cha-3"}
	key   = ringOf("0123456789abcdef0123456789abcdef")
	start = time.UnixMilli(1_700_000_000_000)
)

func ringOf(root string) *keyring.Ring {
	ring, err := keyring.NewRing("pro-1", keyring.Versions{{Number: keyring.Legacy, Root: []byte("old")}, {Number: 1, Root: []byte(root)}})
	if err != nil {
		panic(err)
	}
	return ring
}

func TestAHashOfOldIsOfTheKeyOfOld(t *testing.T) {
	t.Parallel()
	old, err := keyring.NewRing("pro-1", keyring.Versions{{Number: keyring.Legacy, Root: []byte("old")}})
	if err != nil {
		t.Fatal(err)
	}
	e := code.Entry{CreatedMs: start.UnixMilli(), ExpiresMs: start.Add(time.Minute).UnixMilli()}
	e.Seal(old, ref, "123456")
	if err := e.Try(ref, code.Attempt{Keys: key, Value: "123456", Now: start}); err != nil || e.KeyVersion != keyring.Legacy {
		t.Errorf("%v, version %d", err, e.KeyVersion)
	}
}

func sealed(value string) code.Entry {
	e := code.Entry{Type: rest.ChallengeTypeEmailOtp, CreatedMs: start.UnixMilli(), ExpiresMs: start.Add(5 * time.Minute).UnixMilli()}
	e.Seal(key, ref, value)
	return e
}

func TestCodesHaveSixDigitsOfWhichEachIsAsLikelyAsAnyOther(t *testing.T) {
	t.Parallel()
	const draws = 60_000
	form := regexp.MustCompile(`^[0-9]{6}$`)
	var seen [6][10]int
	for range draws {
		value, err := code.Draw(rest.ChallengeTypeSmsOtp)
		if err != nil || !form.MatchString(value) {
			t.Fatalf("drew %q, %v", value, err)
		}
		for place, c := range []byte(value) {
			seen[place][c-'0']++
		}
	}
	// χ² with 9 degrees of freedom is above 45 once in a million times.
	for place, counts := range seen {
		const expected = draws / 10.0
		var chi float64
		for _, n := range counts {
			chi += (float64(n) - expected) * (float64(n) - expected) / expected
		}
		if chi > 45 {
			t.Errorf("place %d: %v, χ² %.1f", place, counts, chi)
		}
	}
}

func TestTokensAreLongAndDiffer(t *testing.T) {
	t.Parallel()
	form, seen := regexp.MustCompile(`^[A-Za-z0-9]{40}$`), map[string]bool{}
	for range 1000 {
		value, err := code.Draw(rest.ChallengeTypeEmailLink)
		if err != nil || !form.MatchString(value) || seen[value] {
			t.Fatalf("drew %q, %v", value, err)
		}
		seen[value] = true
	}
}

func TestAHashIsOfOneChallengeAndOneKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ref   code.Ref
		key   *keyring.Ring
		value string
		want  error
	}{
		"its own":           {ref, key, "123456", nil},
		"another value":     {ref, key, "123457", code.ErrWrong},
		"another challenge": {code.Ref{Project: "pro-1", User: "usr-2", ID: "cha-4"}, key, "123456", code.ErrWrong},
		"another user":      {code.Ref{Project: "pro-1", User: "usr-3", ID: "cha-3"}, key, "123456", code.ErrWrong},
		"another project":   {code.Ref{Project: "pro-2", User: "usr-2", ID: "cha-3"}, key, "123456", code.ErrWrong},
		"another key":       {ref, ringOf("other"), "123456", code.ErrWrong},
	} {
		e := sealed("123456")
		if err := e.Try(c.ref, code.Attempt{Keys: c.key, Value: c.value, Now: start}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if one, two := sealed("123456"), sealed("123456"); string(one.Sum) == string(two.Sum) {
		t.Error("two hashes of one value are the same: there is no salt")
	}
}

// Whatever is tried in whatever order: five wrong values at most, one completion at most, none after the time or the fifth wrong value, and
// the status says so.
func TestNoOrderOfAttemptsBreaksTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, now := sealed("123456"), start
		var wrong, completed int
		for range rapid.IntRange(1, 40).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "ms later")) * time.Millisecond)
			by := rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "by")
			before := e.Status(now)
			switch rapid.SampledFrom([]string{"right", "wrong", "complete", "release"}).Draw(t, "what") {
			case "right":
				err := e.Try(ref, code.Attempt{Keys: key, Value: "123456", Now: now, By: by, Hold: time.Minute})
				if err == nil && before != rest.ChallengeStatusPending {
					t.Fatalf("a challenge that was %s took a value", before)
				}
				if err == nil && by == "" {
					completed++
				}
			case "wrong":
				err := e.Try(ref, code.Attempt{Keys: key, Value: "654321", Now: now, By: by, Hold: time.Minute})
				if errors.Is(err, code.ErrWrong) {
					wrong++
				} else if err == nil {
					t.Fatal("a wrong value was right")
				}
			case "complete":
				if by != "" && e.Complete(by) == nil {
					completed++
				}
			default:
				if err := e.Release(by); err != nil {
					t.Fatal(err)
				}
			}
			if wrong > code.MaxWrong || completed > 1 {
				t.Fatalf("%d wrong values were told so, %d right ones", wrong, completed)
			}
			if got := e.Status(now); (got == rest.ChallengeStatusCompleted) != (completed == 1) {
				t.Fatalf("%d completions, and it is %s", completed, got)
			}
		}
	})
}

// Nobody is told that a right code is wrong, and none is counted, because the store is away.
func TestACodeOfAVersionThatCannotBeLookedForIsNeitherRightNorWrong(t *testing.T) {
	t.Parallel()
	e := sealed("123456")
	e.KeyVersion = 2 // another instance has made it a moment ago
	before := e
	err := e.Try(ref, code.Attempt{Keys: keyringtest.Cut(t, "pro-1"), Value: "123456", Now: start})
	if !errors.Is(err, kv.ErrUnavailable) || e.Wrong != before.Wrong || e.Completed {
		t.Errorf("%v: %+v", err, e)
	}
}
