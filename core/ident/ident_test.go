package ident_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/ident"
)

func TestOnlyIDsThatAreSafeAsSubjectTokensAreTaken(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		id   string
		good bool
	}{
		"the seed's example":       {"usr-4693224802260150919", true},
		"one digit":                {"usr-1", true},
		"no digit":                 {"usr-", false},
		"nothing":                  {"", false},
		"another prefix":           {"pro-1", false},
		"no prefix":                {"4693224802260150919", false},
		"twenty digits":            {"usr-46932248022601509190", false},
		"a letter":                 {"usr-1a", false},
		"a sign":                   {"usr--1", false},
		"a dot":                    {"usr-1.2", false},
		"a star":                   {"usr-*", false},
		"a greater sign":           {"usr->", false},
		"a space":                  {"usr-1 2", false},
		"a line break at the end":  {"usr-1\n", false},
		"digits of another script": {"usr-١٢", false},
		"a brace of a hash tag":    {"usr-1}", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := ident.ParseUserID(c.id)
			if (err == nil) != c.good {
				t.Fatalf("%q: %v", c.id, err)
			}
			if c.good && string(id) != c.id {
				t.Errorf("%q became %q", c.id, id)
			}
			if !c.good && err.Error() != "must be of the form usr-<number>" {
				t.Errorf("message %q", err)
			}
		})
	}
}

func TestANewIDParsesAndDiffersFromTheLast(t *testing.T) {
	t.Parallel()
	seen := map[ident.EventID]bool{}
	for range 10_000 {
		id := ident.NewEventID()
		if _, err := ident.ParseEventID(string(id)); err != nil || len(id) != len("pke-")+19 {
			t.Fatalf("%s: %v", id, err)
		}
		if seen[id] {
			t.Fatalf("%s was drawn twice", id)
		}
		seen[id] = true
	}
}

func FuzzParseUserID(f *testing.F) {
	for _, seed := range []string{"usr-1", "usr-*", "usr-1.2", "", "usr-4693224802260150919", strings.Repeat("9", 100)} {
		f.Add(seed)
	}
	safe := regexp.MustCompile(`\Ausr-[0-9]{1,19}\z`)
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := ident.ParseUserID(s); (err == nil) != safe.MatchString(s) {
			t.Errorf("%q: %v", s, err)
		}
	})
}

func TestADecisionIDTellsItsTime(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 345_999_999, time.UTC)
	seen := map[ident.DecisionID]bool{}
	for n := range 100_000 {
		// A millisecond has a million million IDs, of which a hundred thousand would be two alike once in two hundred runs.
		at := noon.Add(time.Duration(n/1000) * time.Millisecond)
		id := ident.NewDecisionID(at)
		if parsed, err := ident.ParseDecisionID(string(id)); err != nil || parsed != id || len(id) != len("dec-")+25 {
			t.Fatalf("%s: %v", id, err)
		}
		if told, ok := id.Time(); !ok || !told.Equal(at.Truncate(time.Millisecond)) {
			t.Fatalf("%s tells %v %v, want %v", id, told, ok, at)
		}
		if seen[id] {
			t.Fatalf("%s was drawn twice", id)
		}
		seen[id] = true
	}
}

func TestDecisionIDsSortByTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, later := range []time.Duration{time.Millisecond, time.Second, time.Hour, 365 * 24 * time.Hour} {
		if one, other := ident.NewDecisionID(at), ident.NewDecisionID(at.Add(later)); one >= other {
			t.Errorf("%s of %v does not come before %s", one, later, other)
		}
	}
}

func TestOnlyAWholeDecisionIDTellsATime(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]ident.DecisionID{
		"nothing": "", "one of another form": "dec-4693224802260150919", "one digit too many": "dec-17953488000001234567890123",
		"a letter":       "dec-179534880000012345678901x",
		"another prefix": "req-1795348800000123456789012",
	} {
		if told, ok := id.Time(); ok {
			t.Errorf("%s tells %v", name, told)
		}
	}
}
