package event_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
)

func TestPropertyAnEventIsAppendedAsTheLibraryWritesIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.Make[event.Event]().Draw(t, "event")
		texts := []string{"", "plain", "<a href=\"x\">&</a>", "\\ \x00 \n \u2028 \x7f é", "no UTF-8: \xff"}
		e.Challenge = rapid.SampledFrom(texts).Draw(t, "text")
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.AppendJSON([]byte("before")); string(got) != "before"+string(want) {
			t.Fatalf("got  %s\nwant before%s", got, want)
		}
	})
}
