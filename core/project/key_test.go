package project_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/project"
)

func TestAKeyIsFoundByItsTextAndMatchesItsSecretOnly(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_000)
	key, text, err := project.NewAPIKey("pro-42", "backend", []string{"users:read", "passkeys:login", "users:read"}, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	p := newProject(t, "pro-42", "https://example.com")
	if err := p.AddKey(key); err != nil {
		t.Fatal(err)
	}
	parsed, ok := project.ParseAPIKey(text)
	if !ok || parsed.Project != "pro-42" || parsed.ID != key.ID || !strings.HasPrefix(text, "kwk1_42_") {
		t.Fatalf("%s is read as %+v", text, parsed)
	}
	found, ok := p.Key(parsed.ID)
	if !ok || !found.Hash.Matches(parsed.Secret) || found.Hash.Matches(parsed.Secret+"x") || found.Hash.Matches("") {
		t.Error("matching is wrong")
	}
	if !found.Permits("users:read") || !found.Permits("passkeys:login") || found.Permits("users:write") || found.Permits("") ||
		len(found.Permissions) != 2 {
		t.Errorf("permissions are %v", found.Permissions)
	}
	if found.Expired(now) || found.Expired(now.Add(time.Hour-time.Millisecond)) || !found.Expired(now.Add(time.Hour)) {
		t.Errorf("it expires at %d", found.ExpiresMs)
	}
	stored, err := json.Marshal(p)
	if err != nil || strings.Contains(string(stored), parsed.Secret) || strings.Contains(fmt.Sprint(key), parsed.Secret) {
		t.Errorf("the secret is stored or printed: %s", stored)
	}
	if !p.RevokeKey(key.ID) || p.RevokeKey(key.ID) {
		t.Error("revoking is wrong")
	}
	if _, ok := p.Key(key.ID); ok {
		t.Error("a revoked key is found")
	}
}

func TestAKeyForEverythingPermitsEverythingAndNeverExpires(t *testing.T) {
	t.Parallel()
	key, _, err := project.NewAPIKey("pro-1", "all", []string{"*"}, 0, time.Now())
	if err != nil || !key.Permits("users:write") || key.Expired(time.Now().AddDate(100, 0, 0)) {
		t.Errorf("got %v, %v", key, err)
	}
}

func TestAKeyThatCouldNotBeUsedIsNotMade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		name        string
		permissions []string
		lifetime    time.Duration
	}{
		"no name":                     {"", []string{"*"}, 0},
		"a long name":                 {strings.Repeat("x", 101), []string{"*"}, 0},
		"no permission":               {"a", nil, 0},
		"one that has expired before": {"a", []string{"*"}, -time.Second},
	} {
		if _, _, err := project.NewAPIKey("pro-1", c.name, c.permissions, c.lifetime, time.Now()); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
	var p project.Project
	for i := range 101 {
		key, _, err := project.NewAPIKey("pro-1", "a", []string{"*"}, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := p.AddKey(key); (err == nil) != (i < 100) {
			t.Errorf("key %d: %v", i, err)
		}
	}
}

func FuzzParseAPIKey(f *testing.F) {
	for _, text := range []string{
		"kwk1_1_abc_def", "kwk1_1_abc_", "kwk1__abc_def", "kwk1_1_abc_def_ghi", "kwk1_1.>_a_b", "corbado1_abc", "",
		"kwk1_99999999999999999999_a_b", "KWK1_1_a_b",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, ok := project.ParseAPIKey(text)
		if ok &&
			(parsed.ID == "" || parsed.Secret == "" || text != fmt.Sprintf(
				"kwk1_%s_%s_%s", strings.TrimPrefix(string(parsed.Project), "pro-"), parsed.ID, parsed.Secret,
			)) {
			t.Errorf("%q is read as %+v", text, parsed)
		}
	})
}
