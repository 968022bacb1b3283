package provenance_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/provenance"
)

func TestOfEveryFactItIsSaidWhereItCameFrom(t *testing.T) {
	t.Parallel()
	for _, path := range facts.Paths() {
		if strings.HasSuffix(path, ".") {
			path += "one"
		}
		from, known := provenance.Of(path)
		if !known || from.Kind == "" || from.Text == "" {
			t.Errorf("%s: %+v, known: %v", path, from, known)
		}
		if strings.HasSuffix(path, ".one") && from.Name != "one" {
			t.Errorf("%s is named %q", path, from.Name)
		}
	}
}

func TestFactsComeFromWhereTheyAreFound(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]provenance.Source{
		"client.privateMode":        {Kind: provenance.Client},
		"credentials.items":         {Kind: provenance.Credentials},
		"credentials.items.0.class": {Kind: provenance.Credentials},
		"request.hourUTC":           {Kind: provenance.Clock},
		"request.lists.tor":         {Kind: provenance.List, Name: "tor"},
		"velocity.failures":         {Kind: provenance.Counter, Name: "failures"},
		"context.amount":            {Kind: provenance.Caller, Name: "amount"},
		"user.labels.vip":           {Kind: provenance.Account, Name: "vip"},
		"pair.localStreak":          {Kind: provenance.Events, Parts: []history.Part{history.FailedLocal}},
		"nudges.default.declines":   {Kind: provenance.Events, Parts: []history.Part{history.DeclinedDefault}},
		"doubts.wrongCodes":         {Kind: provenance.Events, Parts: []history.Part{history.Doubted}},
	} {
		got, known := provenance.Of(path)
		if !known || got.Kind != want.Kind || got.Name != want.Name || !slices.Equal(got.Parts, want.Parts) {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
	}
	if from, known := provenance.Of("clients"); known {
		t.Errorf("a path that is no fact: %+v", from)
	}
}
