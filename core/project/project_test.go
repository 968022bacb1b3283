package project_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

func newProject(t *testing.T, id ident.ProjectID, origin string) project.Project {
	t.Helper()
	p, err := project.New(id, "one", "example.com", "Example", []string{origin}, project.NewSecret(), time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAProjectThatCouldNeverLogInIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		id, rpID, origin, secret, field string
	}{
		"an ID of another form":              {"project-1", "example.com", "https://example.com", "corbado1_x", "id"},
		"no relying party ID":                {"pro-1", "", "https://example.com", "corbado1_x", "rpID"},
		"a relying party ID with a scheme":   {"pro-1", "https://example.com", "https://example.com", "corbado1_x", "rpID"},
		"an origin on another domain":        {"pro-1", "example.com", "https://example.org", "corbado1_x", "origins"},
		"an origin that only ends like it":   {"pro-1", "example.com", "https://notexample.com", "corbado1_x", "origins"},
		"an origin with a path":              {"pro-1", "example.com", "https://example.com/login", "corbado1_x", "origins"},
		"a secret that SDKs would not take":  {"pro-1", "example.com", "https://example.com", "hunter2", "secret"},
		"a secret that is only the prefix":   {"pro-1", "example.com", "https://example.com", "corbado1_", "secret"},
		"an origin that is not one":          {"pro-1", "example.com", "example.com", "corbado1_x", "origins"},
		"no origin":                          {"pro-1", "example.com", "", "corbado1_x", "origins"},
		"a relying party ID that has a port": {"pro-1", "localhost:8080", "http://localhost:8080", "corbado1_x", "rpID"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := project.New(ident.ProjectID(c.id), "", c.rpID, "", strings.Fields(c.origin), c.secret, time.Time{})
			var f *fault.Fault
			if !errors.As(err, &f) || len(f.Validation) != 1 || f.Validation[0].Field != c.field {
				t.Errorf("got %v, want a fault of %s", err, c.field)
			}
		})
	}
}

func TestOriginsOfSubdomainsAndAppsAreTaken(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"https://example.com", "https://login.example.com", "http://example.com:8443", "android:apk-key-hash:abc"} {
		newProject(t, "pro-1", origin)
	}
}

func TestASecretMatchesItsHashAndNoOther(t *testing.T) {
	t.Parallel()
	secret := project.NewSecret()
	hash := project.HashSecret(secret)
	if !hash.Matches(secret) || hash.Matches(project.NewSecret()) || hash.Matches("") || (project.SecretHash{}).Matches("") {
		t.Error("matching is wrong")
	}
	if strings.Contains(string(hash.Sum), secret) {
		t.Error("the hash holds the secret")
	}
}

// newStores returns two stores of one bucket, as two instances have them.
func newStores(t *testing.T) (here, there *project.Store) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.ProjectsBucket)
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []**project.Store{&here, &there} {
		if *store, err = project.NewStore(t.Context(), kv, log); err != nil {
			t.Fatal(err)
		}
	}
	return here, there
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}

func TestAChangeByOneInstanceReachesTheOthers(t *testing.T) {
	t.Parallel()
	here, there := newStores(t)
	p := newProject(t, "pro-1", "https://example.com")
	if err := here.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, ok := here.Lookup("pro-1"); !ok {
		t.Error("the creator itself does not see the project at once")
	}
	if _, ok := there.Lookup("pro-1"); !ok || !there.OriginAllowed("https://example.com") {
		t.Error("another instance does not see the project at once")
	}
	go func() { _ = there.Run(t.Context()) }()
	if err := there.Create(t.Context(), p); fault.As(err).Status != 409 {
		t.Errorf("creating it twice: got %v", err)
	}

	secret := project.NewSecret()
	if err := here.Update(t.Context(), "pro-1", func(p *project.Project) { p.Secret = project.HashSecret(secret) }); err != nil {
		t.Fatal(err)
	}
	until(t, "the new secret did not arrive", func() bool { p, _ := there.Lookup("pro-1"); return p.Secret.Matches(secret) })

	if err := here.Delete(t.Context(), "pro-1"); err != nil {
		t.Fatal(err)
	}
	until(t, "the deletion did not arrive", func() bool { _, ok := there.Lookup("pro-1"); return !ok && !there.OriginAllowed("https://example.com") })
	if err := here.Delete(t.Context(), "pro-1"); fault.As(err).Status != 400 {
		t.Errorf("deleting it twice: got %v", err)
	}
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"Login.Example.COM": "login.example.com", "a.b-c.example.museum": "a.b-c.example.museum", "xn--bcher-kva.example": "xn--bcher-kva.example"} {
		if got, err := project.CheckCNAME(host); got != want || err != nil {
			t.Errorf("%s: got %q, %v", host, got, err)
		}
	}
	for _, host := range []string{"", "localhost", "192.0.2.1", "example.com:443", "example.com.", "-a.example.com", "a..example.com", "exa mple.com", strings.Repeat("a.", 127) + "com"} {
		if got, err := project.CheckCNAME(host); err == nil {
			t.Errorf("%q was taken as %q", host, got)
		}
	}
}
