package operator_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
)

var now = time.UnixMilli(1_800_000_000_000)

func TestARoleMayDoWhatTheOnesBeforeItMay(t *testing.T) {
	t.Parallel()
	all := operator.Roles()
	for has, role := range all {
		for takes, needed := range all {
			if got := role.Covers(needed); got != (has >= takes) {
				t.Errorf("%s covers %s: %v", role, needed, got)
			}
		}
		if role.Covers("") || role.Covers("owner") || operator.Role("owner").Covers(role) || operator.Role("").Covers(role) {
			t.Errorf("a role that there is not covers, or is covered by, %s", role)
		}
	}
}

func TestATokenSaysWhoseItIsAndItsHashMatchesItAlone(t *testing.T) {
	t.Parallel()
	o, text, err := operator.New(
		operator.Wanted{Name: "Ada", Role: operator.Author, Lifetime: time.Hour, By: "keyward operator create"}, now,
	)
	if err != nil {
		t.Fatal(err)
	}
	token, ok := operator.ParseToken(text)
	if !ok || token.ID != o.ID || token.Text() != text || !strings.HasPrefix(text, "keyop_") {
		t.Fatalf("%s is read as %+v", text, token)
	}
	if !o.Hash.Matches(token.Secret) || o.Hash.Matches("") || o.Hash.Matches(token.Secret[1:]) {
		t.Error("matching is wrong")
	}
	if o.Expired(now.Add(time.Hour-time.Millisecond)) || !o.Expired(now.Add(time.Hour)) {
		t.Errorf("it expires at %d", o.ExpiresMs)
	}
	stored, err := json.Marshal(o)
	if err != nil || strings.Contains(string(stored), token.Secret) || strings.Contains(fmt.Sprint(o), token.Secret) {
		t.Errorf("the secret is stored or printed: %s", stored)
	}
	forever, _, err := operator.New(operator.Wanted{Name: "Ada", Role: operator.Viewer}, now)
	if err != nil || forever.Expired(now.AddDate(100, 0, 0)) {
		t.Errorf("%v, %v", forever, err)
	}
}

func TestAnOperatorThatCouldNotBeOneIsNotMade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		name     string
		role     operator.Role
		lifetime time.Duration
		field    string
		projects []ident.ProjectID
	}{
		"without a name":                {"  ", operator.Viewer, 0, "name", nil},
		"with a long name":              {strings.Repeat("ä", 101), operator.Viewer, 0, "name", nil},
		"with a name of two lines":      {"a\nb", operator.Viewer, 0, "name", nil},
		"with a name that is no text":   {"a\xff", operator.Viewer, 0, "name", nil},
		"without a role":                {"a", "", 0, "role", nil},
		"with a role that there is not": {"a", "owner", 0, "role", nil},
		"limited to what is no project": {"a", operator.Viewer, 0, "projects", []ident.ProjectID{"pro-1", "x"}},
		"limited to too many projects":  {"a", operator.Viewer, 0, "projects", slices.Repeat([]ident.ProjectID{"pro-1"}, 101)},
		"that has expired":              {"a", operator.Viewer, -time.Second, "expires", nil},
	} {
		_, _, err := operator.New(operator.Wanted{Name: c.name, Role: c.role, Lifetime: c.lifetime, Projects: c.projects}, now)
		if err == nil || len(fault.As(err).Validation) != 1 || fault.As(err).Validation[0].Field != c.field {
			t.Errorf("one %s: %v", name, err)
		}
	}
}

func TestALimitedOperatorSeesItsProjectsAlone(t *testing.T) {
	t.Parallel()
	limited, _, err := operator.New(operator.Wanted{Name: "Ada", Role: operator.Admin, Projects: []ident.ProjectID{"pro-1", "pro-2"}}, now)
	if err != nil || !limited.Limited() || !limited.Sees("pro-1") || !limited.Sees("pro-2") || limited.Sees("pro-3") || limited.Sees("") {
		t.Errorf("%v, %v", limited, err)
	}
	// A version that does not know of limits would let it see all.
	if limited.Schema != 2 {
		t.Errorf("it is stored as version %d", limited.Schema)
	}
	all, _, err := operator.New(operator.Wanted{Name: "Ada", Role: operator.Viewer}, now)
	if err != nil || all.Limited() || !all.Sees("pro-3") || all.Schema != 1 {
		t.Errorf("%v of version %d, %v", all, all.Schema, err)
	}
}

func TestWhatIsNoTokenIsNotTakenForOne(t *testing.T) {
	t.Parallel()
	_, good, err := operator.New(operator.Wanted{Name: "Ada", Role: operator.Viewer}, now)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":              "",
		"an API key":           "kwk1_1_abcdefghijkl_ABCDEFGHIJKLMNOPQRSTUVWXYZ",
		"another scheme":       "K" + good[1:],
		"a part more":          good + "_",
		"a letter more":        good + "A",
		"a letter less":        good[:len(good)-1],
		"a small letter":       good[:len(good)-1] + "a",
		"a space behind it":    good + " ",
		"a number that is not": "keyop_x_" + strings.Repeat("A", 26),
		"no number":            "keyop__" + strings.Repeat("A", 26),
		"a number of 20":       "keyop_" + strings.Repeat("1", 20) + "_" + strings.Repeat("A", 26),
		"a wildcard":           "keyop_*_" + strings.Repeat("A", 26),
	} {
		if token, ok := operator.ParseToken(text); ok {
			t.Errorf("%s is taken for %+v", name, token)
		}
	}
}

// What is taken for a token has one text: two that are not the same are never the same token.
func FuzzATokenHasOneText(f *testing.F) {
	for _, seed := range []string{"keyop_7_ABCDEFGHIJKLMNOPQRSTUVWXYZ", "keyop_007_ABCDEFGHIJKLMNOPQRSTUVWXY2", "keyop__", "kwk1_1_a_b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := operator.ParseToken(text)
		if ok && token.Text() != text {
			t.Errorf("%q is %q", text, token.Text())
		}
	})
}
