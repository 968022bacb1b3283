package direct_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/core/direct"
)

func TestTheLastMessageIsTheNewestOfAllThatMatch(t *testing.T) {
	t.Parallel()
	js, _ := open(t, true)
	before := time.Now().Add(-time.Minute)
	for _, subject := range []string{"read.a.x", "read.b.x", "read.a.y", "read.b.x"} {
		publish(t, js, subject)
	}
	for what, tc := range map[string]struct {
		subject string
		at      uint64 // 0 = there is none
		named   string
	}{
		"of one subject":           {"read.a.x", 1, "read.a.x"},
		"of several":               {"read.a.>", 3, "read.a.y"},
		"of all":                   {"read.>", 4, "read.b.x"},
		"of the newer of two":      {"read.b.x", 4, "read.b.x"},
		"of a subject without one": {"read.c.x", 0, ""},
		"of subjects without one":  {"read.c.>", 0, ""},
	} {
		msg, err := direct.Last(t.Context(), js, name, tc.subject)
		switch {
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case tc.at == 0:
			if msg != nil {
				t.Errorf("%s: %+v", what, msg)
			}
		case msg == nil:
			t.Errorf("%s: there is none", what)
		case msg.Sequence != tc.at || msg.Subject != tc.named || string(msg.Data) != tc.named || msg.Time.Before(before):
			t.Errorf("%s: %+v", what, msg)
		}
	}
	if msg, err := direct.Last(t.Context(), js, "NONE", subjects); err == nil {
		t.Errorf("of a stream that is not there: %+v", msg)
	}
}
