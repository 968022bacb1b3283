package session_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/ceremony/internal/session"
)

const (
	leeway     = 10 * time.Second
	inactivity = time.Hour
)

var began = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func active() session.Session {
	made := session.Session{Status: rest.SessionStatusActive, CreatedMs: began.UnixMilli(), ExpiresMs: began.Add(24 * time.Hour).UnixMilli()}
	made.Use(began, inactivity)
	return made
}

func TestARefreshTokenIsGoodOnceAndForAMomentLonger(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		generation int
		after      time.Duration // of the one spending that was before
		fixed      bool
		want       error
		next       int
		status     rest.SessionStatus
	}{
		"the newest":                           {1, time.Minute, false, nil, 2, rest.SessionStatusActive},
		"the one before, at once":              {0, 0, false, nil, 1, rest.SessionStatusActive},
		"the one before, just in time":         {0, leeway - time.Millisecond, false, nil, 1, rest.SessionStatusActive},
		"the one before, too late":             {0, leeway, false, session.ErrReused, 1, rest.SessionStatusRevoked},
		"one that was never given out":         {2, 0, false, session.ErrReused, 1, rest.SessionStatusRevoked},
		"the newest, where tokens are fixed":   {1, time.Minute, true, nil, 1, rest.SessionStatusActive},
		"the newest, after too long a silence": {1, inactivity, false, session.ErrOver, 1, rest.SessionStatusInactivityReached},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := active()
			if err := s.Spend(0, false, began, inactivity); err != nil {
				t.Fatal(err)
			}
			now := began.Add(tc.after)
			if err := s.Spend(tc.generation, tc.fixed, now, inactivity); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if s.Generation != tc.next || s.At(now) != tc.status {
				t.Errorf("generation %d, %s; want %d, %s", s.Generation, s.At(now), tc.next, tc.status)
			}
		})
	}
}

// Whoever has stolen a token and whoever it was stolen from cannot both go on for longer than the leeway, in whatever order they come.
func TestOfTwoWhoHaveTheSameTokenNeitherGoesOnUnnoticed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, now := active(), began
		held := map[string]int{"owner": 0, "thief": 0}
		for range rapid.IntRange(1, 20).Draw(t, "calls") {
			who := rapid.SampledFrom([]string{"owner", "thief"}).Draw(t, "who")
			now = now.Add(time.Duration(rapid.IntRange(int(leeway/time.Second), 600).Draw(t, "seconds")) * time.Second)
			before := s.Generation
			err := s.Spend(held[who], false, now, inactivity)
			if err == nil {
				if held[who] != before {
					t.Fatalf("%s went on with generation %d, which was spent, of %d", who, held[who], before)
				}
				held[who] = s.Generation
				continue
			}
			// From here on nobody goes on.
			for other, generation := range held {
				if s.Current(generation, now) && s.At(now) == rest.SessionStatusActive {
					t.Fatalf("after %v %s can go on", err, other)
				}
			}
			return
		}
	})
}

func TestATokenSpentTwiceAgoIsGoodForTheSameMomentAsTheOneAfter(t *testing.T) {
	t.Parallel()
	s := active()
	for i, after := range []time.Duration{0, time.Second, 2 * time.Second} { // R0, R1, R2 are spent
		if err := s.Spend(i, false, began.Add(after), inactivity); err != nil {
			t.Fatal(err)
		}
	}
	for generation, last := range map[int]time.Duration{0: leeway, 1: leeway + time.Second, 2: leeway + 2*time.Second} {
		for _, tc := range []struct {
			at   time.Duration
			want error
		}{{last - time.Millisecond, nil}, {last, session.ErrReused}} {
			again := s
			if err := again.Spend(generation, false, began.Add(tc.at), inactivity); !errors.Is(err, tc.want) {
				t.Errorf("generation %d after %v: %v, want %v", generation, tc.at, err, tc.want)
			}
			if tc.want == nil && again.Generation != 3 {
				t.Errorf("generation %d is the session's", again.Generation)
			}
		}
	}
}

func TestASessionThatIsRefreshedWithoutEndStaysSmall(t *testing.T) {
	t.Parallel()
	s := active()
	for i := range 1000 {
		if err := s.Spend(i, false, began, inactivity); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.EarlierMs) > 32 {
		t.Errorf("%d rotations are remembered", len(s.EarlierMs))
	}
}
