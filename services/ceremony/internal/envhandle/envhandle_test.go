package envhandle_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/internal/envhandle"
)

const maxAge = 400 * 24 * time.Hour

var (
	now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	own = project.Project{ID: "pro-1", HandleKey: bytes.Repeat([]byte{1}, 32)}
)

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
		{"another project's handle is foreign", project.Project{ID: "pro-2", HandleKey: bytes.Repeat([]byte{2}, 32)}, handle, now, envhandle.ErrForeign},
		{"another project with the same key finds it foreign", project.Project{ID: "pro-2", HandleKey: own.HandleKey}, handle, now, envhandle.ErrForeign},
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
