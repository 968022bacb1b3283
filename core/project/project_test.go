package project_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	const secret = "corbado1_x0123456789abcde"
	cases := map[string]struct {
		id, rpID, origin, secret, field string
	}{
		"an ID of another form":              {"project-1", "example.com", "https://example.com", secret, "id"},
		"no relying party ID":                {"pro-1", "", "https://example.com", secret, "rpID"},
		"a relying party ID with a scheme":   {"pro-1", "https://example.com", "https://example.com", secret, "rpID"},
		"an origin on another domain":        {"pro-1", "example.com", "https://example.org", secret, "origins"},
		"an origin that only ends like it":   {"pro-1", "example.com", "https://notexample.com", secret, "origins"},
		"an origin with a path":              {"pro-1", "example.com", "https://example.com/login", secret, "origins"},
		"a secret that SDKs would not take":  {"pro-1", "example.com", "https://example.com", "hunter2", "secret"},
		"a secret of one character":          {"pro-1", "example.com", "https://example.com", "corbado1_x", "secret"},
		"a public suffix":                    {"pro-1", "co.uk", "https://shop.co.uk", secret, "rpID"},
		"http beyond localhost":              {"pro-1", "example.com", "http://example.com", secret, "origins"},
		"a secret that is only the prefix":   {"pro-1", "example.com", "https://example.com", "corbado1_", "secret"},
		"an origin that is not one":          {"pro-1", "example.com", "example.com", secret, "origins"},
		"no origin":                          {"pro-1", "example.com", "", secret, "origins"},
		"a relying party ID that has a port": {"pro-1", "localhost:8080", "http://localhost:8080", secret, "rpID"},
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
	for _, origin := range []string{"https://example.com", "https://login.example.com", "https://example.com:8443",
		"android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"} {
		newProject(t, "pro-1", origin)
	}
}

func TestOriginsAreStoredAsClientsSendThem(t *testing.T) {
	t.Parallel()
	p := newProject(t, "pro-1", "https://example.com")
	own := []string{"https://example.com", "android:apk-key-hash:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "https://example.com"}
	if err := p.SetOrigins(own, []string{"https://example.de", "https://www.example.co.uk"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"https://example.com",
		"android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
		"https://example.de",
		"https://www.example.co.uk",
	}, p.Origins); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"https://example.de", "https://www.example.co.uk"}, p.Related()); diff != "" {
		t.Error(diff)
	}
	if doubts := p.Doubts(); len(doubts) != 0 {
		t.Errorf("what was taken is doubted: %v", doubts)
	}
	before := p.Origins
	if err := p.SetOrigins(
		own, []string{"https://a.com", "https://b.com", "https://c.com", "https://d.com", "https://e.com", "https://f.com"},
	); err == nil {
		t.Error("a sixth label was taken, which browsers do not look at")
	}
	if diff := cmp.Diff(before, p.Origins); diff != "" {
		t.Errorf("what was refused has changed the project: %s", diff)
	}
}

func TestAStoredProjectOfTheVersionBeforeIsDoubtedAndNotLost(t *testing.T) {
	t.Parallel()
	stored := project.Project{
		ID: "pro-1", RPID: "EXAMPLE.com", Origins: []string{"http://EXAMPLE.com", "android:apk-key-hash:abc"},
		CNAME: "a..b.com",
	}
	stored.Frontend.Hosts = []string{"*.com"}
	told := fmt.Sprint(stored.Doubts())
	for _, part := range []string{"rpID: EXAMPLE.com", "example.com", "http://EXAMPLE.com", "*.com", "cname: a..b.com"} {
		if !strings.Contains(told, part) {
			t.Errorf("%s is missing from %s", part, told)
		}
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
	if _, err := there.Find(t.Context(), "pro-1"); err != nil || !there.OriginAllowed("https://example.com") {
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
	until(
		t, "the deletion did not arrive",
		func() bool { _, ok := there.Lookup("pro-1"); return !ok && !there.OriginAllowed("https://example.com") },
	)
	if err := here.Delete(t.Context(), "pro-1"); fault.As(err).Status != 400 {
		t.Errorf("deleting it twice: got %v", err)
	}
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"Login.Example.COM":     "login.example.com",
		"a.b-c.example.museum":  "a.b-c.example.museum",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		if got, err := project.CheckCNAME(host); got != want || err != nil {
			t.Errorf("%s: got %q, %v", host, got, err)
		}
	}
	for _, host := range []string{
		"", "localhost", "192.0.2.1", "example.com:443", "example.com.", "-a.example.com", "a..example.com", "exa mple.com",
		strings.Repeat("a.", 127) + "com",
	} {
		if got, err := project.CheckCNAME(host); err == nil {
			t.Errorf("%q was taken as %q", host, got)
		}
	}
}

func TestLoginsOfAProjectVerifyTheirUsersAsItSays(t *testing.T) {
	t.Parallel()
	for said, fits := range map[string]bool{"required": true, "preferred": true, "": true, "discouraged": false, "Required": false} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			p := project.Project{UserVerification: "preferred"}
			err := project.Update{UserVerification: &said}.Apply(&p)
			switch {
			case fits && (err != nil || p.UserVerification != said):
				t.Errorf("it is %q, error %v", p.UserVerification, err)
			case !fits && (err == nil || p.UserVerification != "preferred"):
				t.Errorf("it is taken: %q", p.UserVerification)
			}
		})
	}
}
