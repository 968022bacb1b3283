package project_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
)

func TestWhatAProjectWantsToKnowOfAuthenticators(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given, want project.Attestation
		field       string
	}{
		"nothing":              {},
		"nothing, and says so": {given: project.Attestation{Conveyance: "none", Unverified: "keep"}},
		"everything":           {given: full, want: full},
		"keeping goes without it": {
			given: project.Attestation{Conveyance: "direct", Unverified: "keep"}, want: project.Attestation{Conveyance: "direct"},
		},
		"another conveyance": {given: project.Attestation{Conveyance: "all"}, field: "conveyance"},
		"another format": {
			given: project.Attestation{Conveyance: "direct", Formats: []string{"packed", "none"}}, field: "formats",
		},
		"formats of nothing":        {given: project.Attestation{Formats: []string{"packed"}}, field: "formats"},
		"another word":              {given: project.Attestation{Conveyance: "direct", Unverified: "drop"}, field: "unverified"},
		"a refusal of all there is": {given: project.Attestation{Unverified: "refuse"}, field: "unverified"},
	} {
		got, err := c.given.Check()
		var f *fault.Fault
		if c.field != "" {
			if !errors.As(err, &f) || len(f.Validation) != 1 || f.Validation[0].Field != c.field {
				t.Errorf("%s: %v, want a fault of %s", name, err, c.field)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

var full = project.Attestation{Conveyance: "enterprise", Formats: []string{"tpm", "packed"}, Unverified: "refuse"}

func TestAProjectThatWantsToKnowNothingIsStoredAsItWas(t *testing.T) {
	t.Parallel()
	p := newProject(t, "pro-1", "https://example.com")
	if raw, err := json.Marshal(p); err != nil || strings.Contains(string(raw), "attestation") {
		t.Errorf("%s, %v", raw, err)
	}
	p.Attestation = full
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read project.Project
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, read.Attestation); diff != "" {
		t.Error(diff)
	}
}
