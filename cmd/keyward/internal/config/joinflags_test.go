package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/config"
)

func TestAFlagThatMayGoWithoutAValueTakesNoOtherFlagForOne(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"serve":                              "serve",
		"serve --trying-page":                "serve --trying-page",
		"serve --trying-page false":          "serve --trying-page=false",
		"serve --trying-page true":           "serve --trying-page=true",
		"serve --trying-page=false":          "serve --trying-page=false",
		"serve --trying-page --http-addr :1": "serve --trying-page --http-addr :1",
		"serve --http-addr true":             "serve --http-addr true",
		"config --trying-page reference":     "config --trying-page reference",
	} {
		if got := config.JoinFlags(strings.Fields(given)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s became %q", given, got)
		}
	}
}
