package ident_test

import (
	"regexp"
	"strings"
	"testing"

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
