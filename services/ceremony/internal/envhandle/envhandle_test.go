package envhandle_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/keyring/keyringtest"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/envhandle"
)

const maxAge = 400 * 24 * time.Hour

var (
	now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	own = projectOf("pro-1", 1)
)

// projectOf returns a project with keys of three versions, that of old among them.
func projectOf(id ident.ProjectID, root byte) project.Project {
	var versions keyring.Versions
	for n := range 3 {
		versions = append(versions, keyring.Version{Number: n, Root: bytes.Repeat([]byte{root, byte(n)}, 16)})
	}
	ring, err := keyring.NewRing(id, versions)
	if err != nil {
		panic(err)
	}
	return project.Project{ID: id, Ring: ring}
}

// before returns the project as it was before it was rotated that often.
func before(t *testing.T, id ident.ProjectID, versions int) project.Project {
	t.Helper()
	var all keyring.Versions
	for n := range versions {
		all = append(all, keyring.Version{Number: n, Root: bytes.Repeat([]byte{1, byte(n)}, 16)})
	}
	ring, err := keyring.NewRing(id, all)
	if err != nil {
		t.Fatal(err)
	}
	return project.Project{ID: id, Ring: ring}
}

func TestAHandleOutlivesTheVersionOfTheKeyThatMadeIt(t *testing.T) {
	t.Parallel()
	for versions := 1; versions <= 3; versions++ {
		handle := issue(t, before(t, own.ID, versions), "env-1")
		if id, err := envhandle.Verify(own, handle, now, maxAge); err != nil || id != "env-1" {
			t.Errorf("made by version %d: %v", versions-1, err)
		}
		if versions == 1 {
			continue
		}
		if _, err := envhandle.Verify(before(t, own.ID, versions-1), handle, now, maxAge); !errors.Is(err, envhandle.ErrForeign) {
			t.Errorf("version %d is taken where it is not kept: %v", versions-1, err)
		}
	}
}

func issue(t testing.TB, p project.Project, id ident.EnvironmentID) string {
	t.Helper()
	handle, err := envhandle.Issue(p, id, now)
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func TestVerify(t *testing.T) {
	t.Parallel()
	handle := issue(t, own, "env-4693224802260150919")
	flip := func(at int) string {
		b := []byte(handle)
		if b[at] == 'A' {
			b[at] = 'B'
		} else {
			b[at] = 'A'
		}
		return string(b)
	}
	cases := []struct {
		name   string
		by     project.Project
		handle string
		at     time.Time
		want   error
	}{
		{"a handle just issued is taken", own, handle, now, nil},
		{"a handle is taken until the last second of its life", own, handle, now.Add(maxAge - time.Second), nil},
		{"a handle has expired when its life is over", own, handle, now.Add(maxAge), envhandle.ErrExpired},
		{"a handle from a clock that runs ahead is taken", own, handle, now.Add(-time.Hour), nil},
		{"another project's handle is foreign", projectOf("pro-2", 2), handle, now, envhandle.ErrForeign},
		{"another project with the same key finds it foreign", project.Project{ID: "pro-2", Ring: own.Ring}, handle, now, envhandle.ErrForeign},
		{"a changed environment number is foreign", own, flip(len(envhandle.Prefix)), now, envhandle.ErrForeign},
		{"a changed time is foreign", own, flip(len(envhandle.Prefix) + 14), now, envhandle.ErrForeign},
		{"a changed proof is foreign", own, flip(len(handle) - 3), now, envhandle.ErrForeign},
		{"nothing is malformed", own, "", now, envhandle.ErrMalformed},
		{"a prefix alone is malformed", own, envhandle.Prefix, now, envhandle.ErrMalformed},
		{"another prefix is malformed", own, "ceh2_" + strings.TrimPrefix(handle, envhandle.Prefix), now, envhandle.ErrMalformed},
		{"a handle that was cut is malformed", own, handle[:len(handle)-1], now, envhandle.ErrMalformed},
		{"a handle with something behind it is malformed", own, handle + "A", now, envhandle.ErrMalformed},
		{"padding is malformed", own, handle[:len(handle)-1] + "=", now, envhandle.ErrMalformed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id, err := envhandle.Verify(c.by, c.handle, c.at, maxAge)
			if !errors.Is(err, c.want) {
				t.Fatalf("got error %v, want %v", err, c.want)
			}
			if (id == "env-4693224802260150919") != (c.want == nil) {
				t.Errorf("got environment %q", id)
			}
		})
	}
}

func TestIssueRefusesWhatIsNoEnvironmentID(t *testing.T) {
	t.Parallel()
	if _, err := envhandle.Issue(own, "env-x", now); err == nil {
		t.Error("a handle was issued for env-x")
	}
}

func FuzzVerify(f *testing.F) {
	valid := issue(f, own, "env-1")
	f.Add(valid)
	f.Add("")
	f.Add(envhandle.Prefix + strings.Repeat("A", 48))
	f.Fuzz(func(t *testing.T, handle string) {
		id, err := envhandle.Verify(own, handle, now, maxAge)
		if err != nil {
			if id != "" {
				t.Errorf("an environment %q came with error %v", id, err)
			}
			return
		}
		// Whatever verifies must be what would have been issued: there is one spelling of each handle.
		if handle != valid {
			t.Errorf("%q verified as %s, but was never issued", handle, id)
		}
	})
}

func TestAHandleOfAVersionThatCannotBeLookedForIsNotForeign(t *testing.T) {
	t.Parallel()
	handle := issue(t, before(t, own.ID, 3), "env-1") // by version 2
	p := project.Project{ID: own.ID, Ring: keyringtest.Cut(t, own.ID)}
	if id, err := envhandle.Verify(p, handle, now, maxAge); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("%s, %v", id, err)
	}
}
