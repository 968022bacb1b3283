package main

import (
	"strings"
	"testing"
)

func TestWhatTheListMustNotSayIsNamed(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]string{
		"{ name: Login, from: [engine], of: history }":                                                      "lower-case",
		"{ name: a, of: history }":                                                                          "from names nobody",
		"{ name: a, from: [engine, backend], of: history }":                                                 "nobody else does",
		"{ name: a, from: [frontend], of: history }":                                                        "the backend may",
		"{ name: a, from: [engine], of: history, answers: login }":                                          "for what callers tell",
		"{ name: a, from: [backend], of: history, stream: offers }":                                         "stream must be offers",
		"{ name: a, from: [backend], of: nothing }":                                                         "history, account or installation",
		"{ name: a, from: [backend], of: installation }":                                                    "engine tells alone",
		"{ name: a, from: [backend], of: history, answer: login }":                                          "answer",
		"{ name: a, from: [backend], of: history }\n- { name: b, go: A, from: [backend], of: history }":     "twice",
		"{ name: login-a, from: [backend], of: history }\n- { name: login-a, from: [engine], of: account }": "twice",
	} {
		if _, err := parseTypes([]byte("- " + said + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", said, err)
		}
	}
}

func TestADocumentIsFilledBetweenItsMarkersOnly(t *testing.T) {
	t.Parallel()
	d := document{"x.yaml", map[string][]string{"list": {"enum:", "  - a"}}}
	const text = "before\n  # begin of what events/types.yaml says: list\n  old\n  # end of what events/types.yaml says\nafter\n"
	got, err := d.fill([]byte(text))
	if want := strings.Replace(text, "  old\n", "  enum:\n    - a\n", 1); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	for _, broken := range []string{"", strings.Replace(text, "end of", "", 1), text + text, strings.Replace(text, "list", "other", 1)} {
		if _, err := d.fill([]byte(broken)); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}
